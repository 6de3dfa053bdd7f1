package gamelan

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
	"github.com/gamelan-p2p/gamelan/transport/mux"
)

// Config is what a node is made of, as data. The zero value works: LocalNet, a
// new identity, listening on a free loopback port, nothing kept on disk.
type Config struct {
	// DataDir is the directory of the node's identity and peer store. It is
	// made if it does not exist. Empty: nothing is kept.
	DataDir string

	// Network is the name of the network: localnet, mainnet, stagenet, nextnet,
	// igor or esmeralda. Default: that of the identity in DataDir, else
	// localnet. A public network is never assumed.
	Network string

	// Release is the release of the reference whose wire bytes are used where
	// they differ: "6.2", "1.7" or "rc5". Default "6.2".
	Release string

	// Profile replaces the wire profile that follows from Network and Release.
	Profile *protocol.Profile

	// Secret is the node's identity. Default: that in DataDir, made if there
	// is none; without DataDir a new one.
	Secret *identity.Secret

	// Listen are the multiaddrs to listen on. Default: on LocalNet a free
	// loopback port, which is kept in DataDir for the next start, because peers
	// know no other; elsewhere port 18189 of all interfaces. Port 0 is another
	// one at each start. [ListenNowhere] makes a node that only dials.
	Listen []string

	// PublicAddresses are the multiaddrs that other nodes are told to dial, at
	// most 5. Default: what the node listens on, as far as it may be told.
	PublicAddresses []string

	// Seeds are peers to know from the start, as KEY::ADDRESS[::ADDRESS…].
	Seeds []string

	// UserAgent is what peers are told that this node runs, such as "myapp/1.0":
	// printable ASCII, put before our own "gamelan/<version>", by which nodes
	// of this library know each other. Both, and the space between them, may
	// have 50 bytes. One with a word that begins with "gamelan/" is told as it
	// is. Default: our own alone.
	UserAgent string

	// Client makes the node a client: others do not count it as a node of the
	// network.
	Client bool

	// KeepAlive is the silence after which a connection is pinged. Default
	// 30 s.
	KeepAlive time.Duration

	// NodeCredit bounds the bytes of messages in work, half for each
	// direction. Default 256 MiB.
	NodeCredit int64

	// PeerCredit bounds the bytes of messages in work with one peer in one
	// direction; a message counts its length and 256. At most an eighth of
	// NodeCredit, so that no peer alone can hold what plain messages share: seven
	// thirty-seconds. Default 1 MiB.
	PeerCredit int64

	// MaxInbound bounds the inbound connections and MaxSetups the inbound
	// set-ups under way, of all listeners together. Defaults 500 and 100. Of
	// more set-ups one gives way: of the source that has most of them, the least
	// advanced, if it is over 250 ms old; else the new one is refused.
	MaxInbound, MaxSetups int

	// The same for one source, an IPv4 address or an IPv6 /64, and for one
	// subnet, an IPv4 /24 or an IPv6 /48. Loopback, which is where what comes
	// through a Tor service arrives from, and what has no IP address have no
	// such limits. Defaults 32 and 4.
	MaxInboundPerSource, MaxSetupsPerSource int
	// Defaults 128 and 16.
	MaxInboundPerSubnet, MaxSetupsPerSubnet int

	// MaxSetupRatePerSource is how many inbound set-ups of one source begin in a
	// minute, on average; after a pause as many may begin at once. One subnet has
	// four times as many. More are closed before a byte is read. From sources
	// without limits, connections of 200 unknown peers in a second are set up; more
	// wait for their turn. Default 120.
	MaxSetupRatePerSource int

	// MaxOffencesPerSource is how many offences that ban, or end a connection for
	// churn, may come from one source within 10 min, by whatever keys. Then its
	// connections are closed for 10 min before a byte is read. Default 100.
	MaxOffencesPerSource int

	// ExemptSources are networks, such as "10.0.0.0/8", whose addresses have
	// no limits per source and per subnet either.
	ExemptSources []string

	// MaxDials bounds the dials under way that no caller waits for, DialRate
	// how many of them begin within a second. Defaults 8 and 20.
	MaxDials, DialRate int

	// ExcludeDial are addresses that are never dialled: a whole multiaddr, a
	// range such as /ip4/203.0.*.10:20/tcp/*, or a network such as
	// 203.0.113.0/24. The node's own addresses are excluded in any case.
	ExcludeDial []string

	// Floor is the number of connected nodes below which the node dials others
	// that it knows without being asked. Default 8; [NoFloor] for none.
	Floor int

	// LivenessAllow are networks, such as "127.0.0.1/32", from where anybody may
	// ask, without a handshake, whether the node is there (first byte 0xA7).
	// Default: none.
	LivenessAllow []string
	// LivenessSlots is how many may do so at once. Default 1.
	LivenessSlots int

	// SelfCheck, unless it is 0, is how often the node asks itself, through its
	// own public addresses, whether it can be reached.
	SelfCheck time.Duration

	// KeepClosest, unless it is 0, is how many connected nodes are kept: the
	// closest to this one. The others are closed, except those on the allow
	// list and protected peers.
	KeepClosest int

	// Allow are the node ids of peers that are never banned, by rule, on request
	// or by an import. A ban from before ends when the node starts.
	Allow []string

	// MaxPeers bounds the peers that are remembered. Default 50,000.
	MaxPeers int

	// MinConnected is how many connected nodes make the node online. Default 1.
	MinConnected int

	// RPC bounds remote calls.
	RPC RPCConfig

	// DHT sets how the node takes part in the DHT: messages that find their way
	// over several nodes. nil means the defaults, as &DHTConfig{} does. The DHT
	// has the profile's messaging protocol, as it has on the network. With a
	// profile without a DHT ([protocol.Profile].PlainMessages) nil means none.
	DHT *DHTConfig

	// NoDHT has the node take no part in the DHT. Nodes of this library then send
	// it none of the DHT's messages; other nodes are refused when they try.
	NoDHT bool

	// PlainOnProfile has plain messages, those of [Node.Send] and [WithHandler],
	// use the profile's messaging protocol. It is for nodes of Tari's comms
	// library that run without a DHT, needs NoDHT, and excludes PlainID.
	PlainOnProfile bool

	// PlainID is the protocol of plain messages. Nodes exchange them if they have
	// the same id; between others a send is refused. Default: gamelan/msg/1, and
	// with a profile without a DHT that profile's messaging protocol.
	PlainID string

	// Mux sets limits of the connections' multiplexer.
	Mux mux.Config
}

// RPCConfig bounds remote calls, in numbers of sessions: a session is a substream
// on which one call at a time is made.
type RPCConfig struct {
	// MaxSessions bounds the sessions that peers have with this node's
	// services, MaxPeerSessions those of one peer. Beyond, peers are told to
	// come later. Defaults 100, 10.
	MaxSessions, MaxPeerSessions int

	// ClientSessions bounds this node's sessions with one service of one peer,
	// which its calls share: so many run at a time. Default 4.
	ClientSessions int

	// Idle is how long a peer keeps a session without making a call. Default
	// 10 min.
	Idle time.Duration
}

// DHTConfig is the DHT's part of a [Config]. A number that is 0 has its default.
//
// spec: dht 11.1
type DHTConfig struct {
	// Shards is how many actors share the work on what comes in; all of one
	// peer's goes to the same one. Default 1.
	Shards int

	// Occurrences is how often the same message may come before it is a
	// duplicate, and dropped. Default 1.
	Occurrences int

	// DedupCapacity is how many messages are remembered for that, with a record
	// each that outlives a restart. Beyond it the oldest of the peer that has most
	// go, and are remembered by fingerprints, in 16 MiB at most, for 3 h. Default
	// 50,000.
	DedupCapacity int

	// SendPace bounds the messages to one peer in any 60 s, if the peer is not a
	// node like this one: such nodes may ban for more than 1,000. What is above
	// it waits. Default 900.
	SendPace int

	// FloodLimit bounds the messages of one peer in 60 s that no handler here takes;
	// above it the peer is banned. Default 60,000.
	FloodLimit int

	// RelayBytes bounds the bytes of messages for others that are passed on in 60 s
	// for one source: an IPv4 address, an IPv6 /64, or one peer where that says
	// nothing. What is above it is dropped. Default 256 MiB, at most 1 GiB.
	RelayBytes int64

	// Broadcast is how many connected nodes a broadcast is sent to, Propagation
	// how many a message is passed on to. Defaults 8 and 20.
	Broadcast, Propagation int

	// Neighbours is how many of the nodes closest to this one are its
	// neighbours. Default 8.
	Neighbours int

	// NoForwarding has the node drop messages for others instead of passing
	// them on.
	NoForwarding bool
}

// ListenNowhere as the only entry of Config.Listen makes a node that accepts no
// connections.
const ListenNowhere = "nowhere"

// NoFloor as Config.Floor makes a node that dials only whom it was asked to.
const NoFloor = -1

// ErrConfig reports a setting that does not work; the error is a
// [*ConfigError], which says which one.
var ErrConfig = errors.New("gamelan: bad config")

// ConfigError says what is wrong with one field of a Config, and what would be
// right. It is an [ErrConfig].
type ConfigError struct {
	Field string // its name in Config
	Err   error
}

func (e *ConfigError) Error() string {
	return ErrConfig.Error() + ": " + e.Field + ": " + e.Err.Error()
}

// Unwrap returns ErrConfig and the cause.
func (e *ConfigError) Unwrap() []error { return []error{ErrConfig, e.Err} }

func badConfig(field string, err error) error { return &ConfigError{field, err} }

// Validate reports what is wrong with the config as far as that can be seen
// without the data directory and the network: a [*ConfigError], or nil.
func (c Config) Validate() error {
	_, err := c.settle()
	return err
}

// DefaultConfig is the zero Config with every default written out that does
// not depend on another field.
func DefaultConfig() Config {
	c := Config{}.withDefaults()
	c.Mux = c.Mux.WithDefaults()
	return c
}

// DefaultDHTConfig is the zero DHTConfig with every default written out.
func DefaultDHTConfig() DHTConfig { return *DHTConfig{}.withDefaults() }

func (c Config) withDefaults() Config {
	def(&c.Network, protocol.LocalNet.String())
	def(&c.Release, protocol.Release6.String())
	def(&c.KeepAlive, 30*time.Second)
	def(&c.NodeCredit, credit.DefaultNode)
	def(&c.PeerCredit, credit.DefaultPeer)
	def(&c.MaxInbound, 500)
	def(&c.MaxSetups, 100)
	def(&c.MaxInboundPerSource, 32)
	def(&c.MaxSetupsPerSource, 4)
	def(&c.MaxInboundPerSubnet, 128)
	def(&c.MaxSetupsPerSubnet, 16)
	def(&c.MaxSetupRatePerSource, connpool.SetupRate)
	def(&c.MaxOffencesPerSource, connpool.OffenceLimit)
	def(&c.MaxDials, 8)
	def(&c.DialRate, 20)
	def(&c.Floor, 8)
	def(&c.LivenessSlots, 1)
	def(&c.MaxPeers, peerstore.DefaultMaxPeers)
	def(&c.MinConnected, 1)
	def(&c.RPC.MaxSessions, 100)
	def(&c.RPC.MaxPeerSessions, 10)
	def(&c.RPC.ClientSessions, 4)
	def(&c.RPC.Idle, rpc.DefaultIdle)
	def(&c.UserAgent, ownAgent)
	if c.DHT != nil {
		c.DHT = c.DHT.withDefaults()
	}
	return c
}

func (c DHTConfig) withDefaults() *DHTConfig {
	def(&c.Shards, 1)
	def(&c.Occurrences, 1)
	def(&c.DedupCapacity, dht.DedupCapacity)
	def(&c.SendPace, dht.DefaultPace)
	def(&c.FloodLimit, dht.FloodLimit)
	def(&c.RelayBytes, dht.RelayBytes)
	def(&c.Broadcast, dht.BroadcastFactor)
	def(&c.Propagation, dht.PropagationFactor)
	def(&c.Neighbours, dht.NeighbouringNodes)
	return &c
}

// settled is a Config with its texts parsed and its defaults filled in.
type settled struct {
	Config
	profile protocol.Profile
	listen  []ma.Multiaddr
	anyPort bool // Listen has left the port open
	public  []ma.Multiaddr
	seeds   []peerstore.Peer
	exempt  []netip.Prefix
	mayAsk  []netip.Prefix
	exclude []address.Range
	allow   []identity.NodeID
}

func (c Config) settle() (settled, error) {
	s := settled{Config: c.withDefaults()}
	if err := s.chooseProfile(); err != nil {
		return s, err
	}
	return s, errors.Join(s.chooseMessaging(), s.check(), s.parse())
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (s *settled) chooseProfile() error {
	if s.Profile != nil {
		s.profile = *s.Profile
		if err := s.profile.Validate(); err != nil {
			return badConfig("Profile", err)
		}
		return nil
	}
	network := protocol.LocalNet
	var err error
	if s.Network != "" {
		if network, err = protocol.ParseNetwork(s.Network); err != nil {
			return badConfig("Network", err)
		}
	}
	s.profile = protocol.Tari(network)
	if s.Release != "" {
		release, err := protocol.ParseRelease(s.Release)
		if err != nil {
			return badConfig("Release", err)
		}
		s.profile.WireByte = network.WireByte(release)
	}
	return nil
}

// count is a setting that must not be negative.
type count struct {
	name string
	n    int64
}

func (c *DHTConfig) counts() []count {
	if c == nil {
		return nil
	}
	return []count{
		{"DHT.Shards", int64(c.Shards)},
		{"DHT.Occurrences", int64(c.Occurrences)},
		{"DHT.DedupCapacity", int64(c.DedupCapacity)},
		{"DHT.SendPace", int64(c.SendPace)},
		{"DHT.FloodLimit", int64(c.FloodLimit)},
		{"DHT.RelayBytes", c.RelayBytes},
		{"DHT.Broadcast", int64(c.Broadcast)},
		{"DHT.Propagation", int64(c.Propagation)},
		{"DHT.Neighbours", int64(c.Neighbours)},
	}
}

// maxShards bounds DHT.Shards: more have no processor to run on.
const maxShards = 256

func (s *settled) checkDHT() error {
	if s.DHT != nil && s.DHT.Shards > maxShards {
		return badConfig("DHT.Shards", fmt.Errorf("%d is above %d; set the number of processors, or fewer", s.DHT.Shards, maxShards))
	}
	if s.DHT != nil && s.DHT.RelayBytes > dht.MaxRelayBytes {
		return badConfig("DHT.RelayBytes", fmt.Errorf("%d is above %d", s.DHT.RelayBytes, dht.MaxRelayBytes))
	}
	return nil
}

func (s *settled) check() error {
	var wrong []error
	for _, v := range append([]count{
		{"KeepAlive", int64(s.KeepAlive)},
		{"NodeCredit", s.NodeCredit},
		{"PeerCredit", s.PeerCredit},
		{"MaxInbound", int64(s.MaxInbound)},
		{"MaxSetups", int64(s.MaxSetups)},
		{"MaxInboundPerSource", int64(s.MaxInboundPerSource)},
		{"MaxSetupsPerSource", int64(s.MaxSetupsPerSource)},
		{"MaxInboundPerSubnet", int64(s.MaxInboundPerSubnet)},
		{"MaxSetupsPerSubnet", int64(s.MaxSetupsPerSubnet)},
		{"MaxSetupRatePerSource", int64(s.MaxSetupRatePerSource)},
		{"MaxOffencesPerSource", int64(s.MaxOffencesPerSource)},
		{"MaxDials", int64(s.MaxDials)},
		{"DialRate", int64(s.DialRate)},
		{"Floor", int64(max(s.Floor, 0)) + min(0, int64(s.Floor)-NoFloor)},
		{"KeepClosest", int64(s.KeepClosest)},
		{"LivenessSlots", int64(s.LivenessSlots)},
		{"SelfCheck", int64(s.SelfCheck)},
		{"MaxPeers", int64(s.MaxPeers)},
		{"MinConnected", int64(s.MinConnected)},
		{"RPC.MaxSessions", int64(s.RPC.MaxSessions)},
		{"RPC.MaxPeerSessions", int64(s.RPC.MaxPeerSessions)},
		{"RPC.ClientSessions", int64(s.RPC.ClientSessions)},
		{"RPC.Idle", int64(s.RPC.Idle)},
	}, s.DHT.counts()...) {
		if v.n < 0 {
			wrong = append(wrong, badConfig(v.name, errors.New("is negative; leave it 0 for the default")))
		}
	}
	if s.PeerCredit > s.NodeCredit/8 { // plain messages of all peers share seven thirty-seconds
		wrong = append(wrong, badConfig("PeerCredit", fmt.Errorf("%d is above an eighth of NodeCredit (%d); lower it or raise NodeCredit", s.PeerCredit, s.NodeCredit)))
	}
	if s.KeepClosest > 0 && s.KeepClosest < s.Floor {
		wrong = append(wrong, badConfig("KeepClosest", fmt.Errorf("%d is below Floor (%d): connections would be made and closed again; raise it or lower Floor", s.KeepClosest, s.Floor)))
	}
	return errors.Join(append(wrong, s.checkMux(), s.checkDHT(), s.completeAgent())...)
}

// checkMux reports each field of the multiplexer's config that does not work.
func (s *settled) checkMux() error {
	all, ok := s.Mux.Validate().(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var wrong []error
	for _, err := range all.Unwrap() {
		field := "Mux"
		if bad, ok := errors.AsType[*mux.ConfigError](err); ok {
			field += "." + bad.Field
		}
		wrong = append(wrong, badConfig(field, err))
	}
	return errors.Join(wrong...)
}

// ownAgent is what every node of this library says that it runs.
const ownAgent = useragent.Prefix + Version

// completeAgent puts what the application says of itself before our own user
// agent, by which nodes of this library know each other (spec: V28).
func (s *settled) completeAgent() error {
	agent, most := s.UserAgent, s.profile.Limits.UserAgent
	switch {
	case !protocol.PrintableASCII(agent):
		return badConfig("UserAgent", fmt.Errorf("%q is not printable ASCII; choose another", agent))
	case !useragent.Ours(agent):
		most -= len(" " + ownAgent)
		if len(agent) > most {
			return badConfig("UserAgent", fmt.Errorf("%q has %d bytes, at most %d are left before %q; shorten it", agent, len(agent), max(0, most), " "+ownAgent))
		}
		s.UserAgent = agent + " " + ownAgent
	case len(agent) > most:
		return badConfig("UserAgent", fmt.Errorf("%q has %d bytes, at most %d are allowed; shorten it", agent, len(agent), most))
	}
	return nil
}

func (s *settled) parse() (err error) {
	listen := s.Listen
	switch {
	case len(listen) == 1 && listen[0] == ListenNowhere:
		listen = nil
	case len(listen) == 0 && s.profile.TestAddresses:
		listen, s.anyPort = []string{"/ip4/127.0.0.1/tcp/0"}, true
	case len(listen) == 0:
		listen = []string{"/ip4/0.0.0.0/tcp/18189"}
	}
	if s.listen, err = parseAddresses("Listen", listen); err != nil {
		return err
	}
	if s.public, err = parseAddresses("PublicAddresses", s.PublicAddresses); err != nil {
		return err
	}
	if s.exempt, err = parseNetworks("ExemptSources", s.ExemptSources); err != nil {
		return err
	}
	if s.mayAsk, err = parseNetworks("LivenessAllow", s.LivenessAllow); err != nil {
		return err
	}
	for _, text := range s.ExcludeDial {
		r, err := address.ParseRange(text)
		if err != nil {
			return badConfig("ExcludeDial", err)
		}
		s.exclude = append(s.exclude, r)
	}
	for _, text := range s.Allow {
		id, err := identity.ParseNodeID(text)
		if err != nil {
			return badConfig("Allow", err)
		}
		s.allow = append(s.allow, id)
	}
	for _, text := range s.Seeds {
		seed, err := peerstore.ParseSeed(text)
		if err != nil {
			return badConfig("Seeds", err)
		}
		s.seeds = append(s.seeds, seed)
	}
	return nil
}

func parseNetworks(field string, texts []string) (networks []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, badConfig(field, fmt.Errorf("%w; write a network as 10.0.0.0/8", err))
		}
		networks = append(networks, p.Masked())
	}
	return networks, nil
}

func parseAddresses(field string, texts []string) ([]ma.Multiaddr, error) {
	addrs := make([]ma.Multiaddr, 0, len(texts))
	for _, text := range texts {
		a, err := address.Parse(text)
		if err != nil {
			return nil, badConfig(field, err)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}
