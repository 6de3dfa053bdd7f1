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

// Config holds the settings of a node. The zero value works: the node is on LocalNet, has
// a new identity, listens on a free loopback port and keeps nothing on disk.
type Config struct {
	// DataDir is the directory of the node's identity and store. It is created if it
	// does not exist. If it is empty, nothing is kept on disk.
	DataDir string

	// DataDirGroup is the id of a Unix group whose members may read and write in DataDir,
	// as with fsGroup of Kubernetes. They are trusted with the node's identity. Default 0:
	// there is no such group, and only the user of the program and root may do so.
	DataDirGroup int

	// Network is the name of the network: localnet, mainnet, stagenet, nextnet,
	// igor or esmeralda. Default: the network of the identity in DataDir, else
	// localnet. A public network is never chosen by default.
	Network string

	// Release selects the wire byte of a network where it differs between releases of
	// the reference: "6.2", "1.7" or "rc5". Default "6.2".
	Release string

	// Profile replaces the wire profile that follows from Network and Release.
	Profile *protocol.Profile

	// Secret is the node's identity. Default: the identity in DataDir, which is
	// created if there is none; without DataDir a new identity.
	Secret *identity.Secret

	// Transport is how the node connects: [TransportTCP], [TransportTor],
	// [TransportTCPWithTor] or [TransportSOCKS]. Default: TransportTCP.
	Transport string

	// Tor says how TransportTor uses Tor, and SOCKS describes the proxy.
	Tor   TorConfig
	SOCKS SOCKSConfig

	// Listen are the multiaddrs to listen on. With TransportTor they are on loopback, by
	// default on a free port; TransportSOCKS listens nowhere by default. Default otherwise: on
	// other networks than LocalNet port 18189 of all interfaces; on LocalNet a free port, which
	// DataDir keeps for the next start, because peers know only that port. It is on loopback, or,
	// with a seed on another machine, on the address from which the way to that seed leaves.
	// Port 0 means a different free port at each start. [ListenNowhere] makes a node that only
	// dials.
	Listen []string

	// PublicAddresses are the multiaddrs that the node advertises for others to dial,
	// at most 5. Default: the listening addresses that may be advertised.
	PublicAddresses []string

	// Seeds are peers that the node knows from the start, as KEY::ADDRESS[::ADDRESS…].
	Seeds []string

	// UserAgent names the application to peers, such as "myapp/1.0", in printable
	// ASCII. The node appends a space and its own "gamelan/<version>", by which nodes
	// of this library recognize each other; all of it may have 50 bytes. A text with
	// a word that begins with "gamelan/" is sent unchanged. Default: the node's own
	// user agent alone.
	UserAgent string

	// Client makes the node a client: others do not count it as a node of the
	// network.
	Client bool

	// KeepAlive is how long a connection may be silent before it is pinged. Default
	// 30 s; over TCP without a proxy it is 15 s at most.
	KeepAlive time.Duration

	// NodeCredit bounds the bytes of messages in work. Each direction has half of it.
	// Default 256 MiB.
	NodeCredit int64

	// PeerCredit bounds the bytes of messages in work with one peer in one direction.
	// A message counts its length plus 256. PeerCredit is at most an eighth of
	// NodeCredit, so that no single peer can hold all the credit that plain messages
	// share, which is 7/32 of NodeCredit. Default 1 MiB.
	PeerCredit int64

	// MaxInbound bounds the inbound connections, and MaxSetups the inbound set-ups
	// under way, of all listeners together. Defaults 500 and 100. When there are
	// more set-ups, the source with the most of them loses its least advanced one if
	// that is over 250 ms old; otherwise the new one is refused.
	MaxInbound, MaxSetups int

	// MaxInboundPerSource and MaxSetupsPerSource are the same limits for one source:
	// an IPv4 address or an IPv6 /64. Connections without an IP address have no
	// such limits, nor has loopback, from where a Tor service delivers connections.
	// Defaults 32 and 4.
	MaxInboundPerSource, MaxSetupsPerSource int
	// MaxInboundPerSubnet and MaxSetupsPerSubnet are the same limits for one subnet:
	// an IPv4 /24 or an IPv6 /48. Defaults 128 and 16.
	MaxInboundPerSubnet, MaxSetupsPerSubnet int

	// MaxSetupRatePerSource is how many inbound set-ups from one source may begin in a
	// minute, on average; after a pause that many may begin at once. A subnet may
	// begin four times as many. Further connections are closed before a byte is read.
	// For sources without limits, the node sets up connections of 200 unknown peers in
	// a second, and further ones wait. Default 120.
	MaxSetupRatePerSource int

	// MaxOffencesPerSource is how many offences may come from one source within
	// 10 min, whatever keys its peers have. Only offences count that ban a peer or end
	// a connection for churn. Above the limit, connections from that source are closed
	// for 10 min before a byte is read. Default 100.
	MaxOffencesPerSource int

	// ExemptSources are networks, such as "10.0.0.0/8", whose addresses have no
	// limits per source or per subnet, like loopback.
	ExemptSources []string

	// MaxDials bounds the dials under way that no caller waits for, and DialRate how
	// many of them begin within a second. Defaults 8 and 20.
	MaxDials, DialRate int

	// ExcludeDial are addresses that are never dialled: a whole multiaddr, a
	// range such as /ip4/203.0.*.10:20/tcp/*, or a network such as
	// 203.0.113.0/24. The node's own addresses are excluded in any case.
	ExcludeDial []string

	// Floor is the number of connected nodes below which the node dials known nodes of
	// its own accord. Default 8; [NoFloor] for none.
	Floor int

	// LivenessAllow are networks, such as "127.0.0.1/32", whose hosts may check
	// without a handshake whether the node is alive (first byte 0xA7). Default: none.
	LivenessAllow []string
	// LivenessSlots bounds such checks at a time. Default 1.
	LivenessSlots int

	// Reach says how the node finds out whether others can connect to it.
	Reach ReachConfig

	// KeepClosest is how many connections to nodes the node keeps: those to the nodes
	// closest to it. It closes the others, except connections to peers that are
	// protected or on the allow list. 0 means no limit.
	KeepClosest int

	// Allow are the public keys or node ids of peers that are never banned, neither by
	// rule nor on request nor by an import. An existing ban of such a peer ends when the node
	// starts.
	Allow []string

	// MaxPeers bounds the peers that are remembered. Default 50,000.
	MaxPeers int

	// MinConnected is how many connected nodes make the node online. Default 1.
	MinConnected int

	// RPC bounds remote calls.
	RPC RPCConfig

	// DHT sets how the node takes part in the DHT, which relays messages over several
	// nodes. A nil DHT means the defaults, as &DHTConfig{} does. The DHT uses the
	// profile's messaging protocol, as it does on the network. With a profile without
	// a DHT ([protocol.Profile].PlainMessages) a nil DHT means none.
	DHT *DHTConfig

	// Discovery sets how the node finds other nodes of the DHT. It has no effect without
	// the DHT.
	Discovery DiscoveryConfig

	// StoreForward sets what the node stores for nodes that are away, and whether it asks
	// others for what they store for it. It has no effect without the DHT.
	StoreForward StoreForwardConfig

	// NoDHT switches the DHT off. Nodes of this library then send no DHT messages to
	// the node. When other nodes try, the node refuses.
	NoDHT bool

	// PlainOnProfile makes plain messages, those of [Node.Send] and [WithHandler],
	// use the profile's messaging protocol. It is for peers that use Tari's comms
	// library without a DHT. It requires NoDHT and excludes PlainID.
	PlainOnProfile bool

	// PlainID is the protocol of plain messages. Two nodes exchange plain messages if
	// they have the same PlainID; otherwise a send is refused. Default: gamelan/msg/1,
	// or, with a profile without a DHT, the profile's messaging protocol.
	PlainID string

	// Mux sets limits of the connections' multiplexer.
	Mux mux.Config
}

// RPCConfig bounds remote calls. Its limits count sessions: a session is a substream that
// carries one call at a time.
type RPCConfig struct {
	// MaxSessions bounds the sessions that all peers have with the user's services, and
	// MaxPeerSessions those of one peer. When all are taken, an idle session of the source that
	// has most is evicted for a new one. If none is, the new one is refused, and the peer may
	// try again later. Defaults 1,000, 10.
	MaxSessions, MaxPeerSessions int

	// ClientSessions bounds this node's sessions with one service of one peer, and so
	// the calls that run at a time. Default 4.
	ClientSessions int

	// Idle is how long a peer may keep a session without a call. Default
	// 10 min.
	Idle time.Duration
}

// DHTConfig is the DHT's part of a [Config]. A number that is 0 has its default.
//
// spec: dht 11.1
type DHTConfig struct {
	// Shards is how many actors share the work on inbound messages. All messages of one
	// peer go to the same actor. Default 1.
	Shards int

	// Occurrences is how many copies of a message are let through before further ones
	// are dropped as duplicates. Default 1.
	Occurrences int

	// DedupCapacity is how many messages are remembered to find duplicates, each with a
	// record that survives a restart. Above it, the oldest records of the peer with the
	// most records are evicted. Fingerprints of evicted records are kept for 3 h, in
	// at most 16 MiB. Default 50,000.
	DedupCapacity int

	// SendPace bounds the messages to one peer in any 60 s, if the peer does not run
	// this library: such peers may ban a node that sends more than 1,000. Further
	// messages wait. Default 900.
	SendPace int

	// FloodLimit bounds the messages from one peer in any 60 s that no handler here
	// takes. A peer above it is banned. Default 60,000.
	FloodLimit int

	// RelayBytes bounds the bytes of messages that the node relays in any 60 s for one
	// source: an IPv4 address, an IPv6 /64, or, where there is no such source, one
	// peer. Further messages are dropped. Default 256 MiB, at most 1 GiB.
	RelayBytes int64

	// Broadcast is how many connected nodes a broadcast is sent to, and Propagation how
	// many nodes a message is relayed to. Defaults 8 and 20.
	Broadcast, Propagation int

	// Neighbours is how many of the nodes closest to this one are its
	// neighbours. Default 8.
	Neighbours int

	// NoForwarding makes the node drop messages for others instead of relaying them. It
	// passes on the Joins of others.
	NoForwarding bool
}

// ListenNowhere as the only entry of Config.Listen makes a node that accepts no
// connections.
const ListenNowhere = "nowhere"

// NoFloor as Config.Floor makes a node that dials only peers that it was asked to dial.
const NoFloor = -1

// ErrConfig reports a bad setting. The error is a [*ConfigError], which names the setting.
var ErrConfig = errors.New("gamelan: bad config")

// ErrNoNetwork reports that the machine has no address now that the node could show to its
// peers, as before its network is up. [Start] may succeed later, unless the network of this
// machine has only addresses that the node's network does not take.
var ErrNoNetwork = errors.New("gamelan: no network yet")

// ConfigError describes an error in one field of a Config, and how to correct it. It
// wraps [ErrConfig].
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

// Validate checks the config without using the data directory or the network. It returns
// nil, or an error that wraps a [*ConfigError] for each bad field.
func (c Config) Validate() error {
	_, err := c.settle()
	return err
}

// DefaultConfig returns the zero Config with its defaults filled in, except for defaults
// that depend on another field.
func DefaultConfig() Config {
	c := Config{}.withDefaults()
	c.Mux = c.Mux.WithDefaults()
	return c
}

// DefaultDHTConfig returns the zero DHTConfig with its defaults filled in.
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
	def(&c.RPC.MaxSessions, 1000)
	def(&c.RPC.MaxPeerSessions, 10)
	def(&c.RPC.ClientSessions, 4)
	def(&c.RPC.Idle, rpc.DefaultIdle)
	def(&c.UserAgent, ownAgent)
	c.withTransportDefaults()
	c.Discovery.withDefaults()
	c.StoreForward.withDefaults()
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
	anyPort bool // Listen was empty and the node may choose its port
	public  []ma.Multiaddr
	seeds   []peerstore.Peer
	exempt  []netip.Prefix
	mayAsk  []netip.Prefix
	exclude []address.Range
	allow   []identity.NodeID
	proxied
}

func (c Config) settle() (settled, error) {
	s := settled{Config: c.withDefaults()}
	if err := s.chooseProfile(); err != nil {
		return s, err
	}
	return s, errors.Join(s.chooseMessaging(), s.check(), s.parseTransport(), s.parse())
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

// count is a numeric setting, which must not be negative.
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

// maxShards bounds DHT.Shards: no machine has processors for more.
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
		{"MaxPeers", int64(s.MaxPeers)},
		{"MinConnected", int64(s.MinConnected)},
		{"RPC.MaxSessions", int64(s.RPC.MaxSessions)},
		{"RPC.MaxPeerSessions", int64(s.RPC.MaxPeerSessions)},
		{"RPC.ClientSessions", int64(s.RPC.ClientSessions)},
		{"RPC.Idle", int64(s.RPC.Idle)},
	}, append(s.DHT.counts(), s.Discovery.counts()...)...) {
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
	return errors.Join(append(wrong, s.checkMux(), s.checkDHT(), s.checkDiscovery(), s.checkStoreForward(), s.completeAgent())...)
}

// checkMux returns an error for each bad field of the multiplexer's config.
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

// ownAgent is the user agent of this library.
const ownAgent = useragent.Prefix + Version

// completeAgent appends the library's own user agent, by which nodes of this library
// recognize each other, to the application's (spec: V28).
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
	case len(listen) == 0 && s.Transport == TransportTor:
		listen = []string{"/ip4/127.0.0.1/tcp/0"}
	case len(listen) == 0 && s.Transport == TransportSOCKS:
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
		id, err := identity.ParsePeer(text)
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
	return s.checkListen()
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
