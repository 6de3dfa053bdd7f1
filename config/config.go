package config

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Config holds the settings of a node. The zero value works: the node is on LocalNet, has
// a new identity, listens on a free loopback port and keeps nothing on disk. A number or duration
// that is 0 has its default.
type Config struct {
	// Directory of the node's identity, store, socket and lock. It is made if it does not exist; one
	// node runs in it at a time. In a file the path must be absolute; in the variable and the flag it
	// may be relative to the directory in which the command runs.
	//
	// If it is empty, nothing is kept on disk.
	DataDir string

	// Id of a Unix group whose members may write in the data directory, as with fsGroup of
	// Kubernetes. They are trusted with the node's identity.
	//
	// 0 means none: only the user of the program and root may do so.
	DataDirGroup int

	// Network of the node. A path names the file of a private network. A public network is never
	// assumed, and an identity stays on the network that it was made for.
	//
	// A name is localnet, mainnet, stagenet, nextnet, igor or esmeralda; see [ReadNetwork] for the
	// file. Default: that of the identity in DataDir, else localnet.
	Network string

	// Private is the private network that the node joins, instead of Network. A program may read it with
	// [ReadNetwork]; its seeds are added to Seeds.
	Private *PrivateConfig

	// Release of the Tari reference whose wire bytes are used where releases differ.
	//
	// It is "6.2", "1.7" or "rc5". The default is "6.2".
	Release string

	// Profile replaces the wire profile that follows from Network and Release.
	Profile *protocol.Profile

	// Secret is the node's identity. Default: the identity in DataDir, which is
	// created if there is none; without DataDir a new identity.
	Secret *identity.Secret

	// How the node connects: over TCP; through Tor alone, with an onion service of its own; over
	// TCP, and to onion services through Tor; or through a SOCKS5 proxy alone.
	//
	// It is [TransportTCP], which is the default, [TransportTor], [TransportTCPWithTor] or
	// [TransportSOCKS].
	Transport string

	// Tor says how TransportTor uses Tor.
	Tor TorConfig

	// SOCKS describes the proxy.
	SOCKS SOCKSConfig

	// Addresses to listen on. "nowhere" alone makes a node that only dials.
	//
	// That is [ListenNowhere]. With TransportTor the addresses are on loopback, by default on a
	// free port; TransportSOCKS listens nowhere by default. Default otherwise: on
	// other networks than LocalNet port 18189 of all interfaces; on LocalNet a free port, which
	// DataDir keeps for the next start, because peers know only that port. It is on loopback, or,
	// with a seed on another machine, on the address from which the way to that seed leaves.
	// Port 0 means a different free port at each start.
	Listen []string

	// Addresses that peers are told to dial. Set them behind a router or a load balancer.
	//
	// There are at most 5. Default: the listening addresses that may be advertised.
	PublicAddresses []string

	// Peers to know from the start, each as KEY::ADDRESS. On a reload new ones are added; none is
	// forgotten.
	//
	// More addresses may follow: KEY::ADDRESS::ADDRESS.
	Seeds []string

	// Software name that peers see. gamelan and its version are appended, unless it contains them,
	// and count towards the 50 bytes.
	//
	// It is printable ASCII, such as "myapp/1.0". What is appended is "gamelan/<version>", by which
	// nodes of this library recognize each other. A text with a word that begins with "gamelan/" is
	// sent unchanged. Default: the node's own user agent alone.
	UserAgent string

	// Makes the node a client: others do not count it as a node of the network.
	Client bool

	// Silence after which a connection is pinged; over TCP without a proxy 15s at most. Default 30 s.
	KeepAlive time.Duration

	// Bytes of unfinished messages in the whole node, half for each direction. It must be at least
	// eight times [Config.PeerCredit].
	//
	// So no single peer can hold all the credit that plain messages share, which is 7/32 of it.
	// Default 256 MiB.
	NodeCredit int64

	// Bytes of unfinished messages with one peer in one direction; a message counts as its length plus 256.
	// When they are used up, further messages wait. Default 1 MiB.
	PeerCredit int64

	// Greatest number of connections that peers have made. A further one replaces a connection that has
	// been idle for 30 s and was never used, or is refused. Default 500, of all listeners together.
	MaxInbound int

	// Greatest number of inbound connections that are not ready yet. A further one replaces the least
	// advanced of the source that has most of them, if that is over 250 ms old. Otherwise the new one is
	// refused. Default 100, of all listeners together.
	MaxSetups int

	// Greatest number of connections from one IPv4 address or IPv6 /64; loopback has no such limit.
	//
	// Connections without an IP address have none either. Default 32.
	MaxInboundPerSource int

	// Greatest number of inbound connections from one IPv4 address or IPv6 /64 that are not ready
	// yet.
	//
	// Loopback and connections without an IP address have no such limit. Default 4.
	MaxSetupsPerSource int

	// Greatest number of connections from one IPv4 /24 or IPv6 /48. Default 128.
	MaxInboundPerSubnet int

	// Greatest number of inbound connections from one IPv4 /24 or IPv6 /48 that are not ready yet. Default
	// 16.
	MaxSetupsPerSubnet int

	// Most inbound connections from one IPv4 address or IPv6 /64 that begin in a minute, on average.
	// After a pause as many may begin at once. From one IPv4 /24 or IPv6 /48 come four times as
	// many. Loopback and exempt sources have no such limit.
	//
	// Further connections are closed before a byte is read. For sources without limits, the node
	// sets up connections of 200 unknown peers in a second, and further ones wait. Default 120.
	MaxSetupRatePerSource int

	// Greatest number of offences from one IPv4 address or IPv6 /64 within 10 min, with any keys; after
	// that the source is refused for 10 min. An offence causes a ban, or ends a connection because of
	// churn. Loopback and exempt sources are not counted. Default 100.
	MaxOffencesPerSource int

	// Networks whose addresses have no limits per source and per subnet.
	ExemptSources []string

	// Greatest number of automatic dials at once.
	//
	// Dials that a caller waits for do not count. Default 8.
	MaxDials int

	// Greatest number of automatic dials begun within a second. Default 20.
	DialRate int

	// Addresses that the node never dials: multiaddrs, ranges of them, networks. It never dials its
	// own either.
	//
	// A range is such as /ip4/203.0.*.10:20/tcp/*, a network such as 203.0.113.0/24.
	ExcludeDial []string

	// Least number of connected nodes: with fewer the node dials others by itself. 0 or -1 is none.
	//
	// In a program 0 means the default, and [NoFloor] none. Default 8.
	Floor int

	// Networks from which anybody may check, without a handshake, whether the node can be reached.
	//
	// The first byte of a check is 0xA7. Default: none.
	LivenessAllow []string

	// Greatest number of such checks at once. Default 1.
	LivenessSlots int

	// Reach says how the node finds out whether others can connect to it.
	Reach ReachConfig

	// Health says when the node is degraded.
	Health HealthConfig

	// Inspect says what others are told of connections with them.
	Inspect InspectConfig

	// Number of connected nodes to keep, the closest to this one. Connections to others are closed,
	// except to allowed or protected peers. Not below [Config.Floor].
	//
	// 0 means no limit.
	KeepClosest int

	// Peers that are never banned: not for an offence, not on request and not by an import. An
	// earlier ban is lifted. Node ids are possible, too.
	Allow []string

	// With whom the node has connections: with anyone in its network, or with listed peers and seeds
	// alone.
	//
	// It is [AdmitAnyone], which is the default, or [AdmitListed]. Node.Peers().Admit lists a peer, and
	// DataDir keeps the list. Others are refused when they have proved their key, and not dialled;
	// nothing of them is stored. It counts for connections: messages of authors that are not listed
	// still come over the DHT when those that are listed relay them.
	Admission string

	// Admit decides, beside Admission, whether the node has connections with the owner of a key. An
	// error refuses the peer, and its text is logged and shown. It is called on several goroutines, for
	// each connection and each dial, when the key is proved or before it is dialled; it should not wait. It is not
	// asked again while a connection is open. nil refuses nobody.
	Admit func(key identity.PublicKey) error

	// Greatest number of known peers; the least useful ones are removed for new ones. Default 50,000.
	MaxPeers int

	// Connected nodes that make this node online. Default 1.
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

	// Sends messages to connected peers on the network's own protocol, t/msg/0.1. For nodes of
	// Tari's comms library that run without a DHT. It needs [Config.NoDHT]. Other nodes of gamelan
	// hear this one only if they have the same setting.
	//
	// The messages are those of Node.Send and WithHandler; the protocol is the messaging protocol of
	// the profile. It excludes PlainID.
	PlainOnProfile bool

	// Protocol of messages to connected peers, printable ASCII without a comma. Only nodes with the
	// same protocol exchange them.
	//
	// Otherwise a send is refused. Default: gamelan/msg/1, or, with a profile without a DHT, the
	// profile's messaging protocol.
	PlainID string

	// Mux sets limits of the connections' multiplexer.
	Mux MuxConfig
}

// ListenNowhere as the only entry of Config.Listen makes a node that accepts no
// connections.
const ListenNowhere = "nowhere"

// Values of Config.Admission.
const (
	// AdmitAnyone has connections with everybody in the network.
	AdmitAnyone = "anyone"
	// AdmitListed has connections only with peers that were admitted, and seeds.
	AdmitListed = "listed"
)

// NoFloor as Config.Floor makes a node that dials only peers that it was asked to dial.
const NoFloor = -1

// ErrConfig reports a bad setting. The error is a [*ConfigError], which names the setting.
var ErrConfig = errors.New("gamelan: bad config")

// ErrNoNetwork reports that the machine has no address now that the node could show to its
// peers, as before its network is up. A later start may succeed, unless the network of this
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

func bad(field string, err error) error { return &ConfigError{field, err} }

func badf(field, format string, args ...any) error { return bad(field, fmt.Errorf(format, args...)) }

// rows are the rows of a Config, in the order of the file. Those of the DHT apply to a Config that
// has a DHT.
var rows = sync.OnceValue(func() []*settings.Row {
	return described("Config.", slices.Concat(
		nodeRows(), torRows(), connectionRows(),
		settings.In("Reach", func(c *Config) *ReachConfig { return &c.Reach }, reachRows()...),
		settings.In("Health", func(c *Config) *HealthConfig { return &c.Health }, healthRows()...),
		settings.In("Inspect", func(c *Config) *InspectConfig { return &c.Inspect }, inspectRows()...), limitRows(),
		settings.In("RPC", func(c *Config) *RPCConfig { return &c.RPC }, rpcRows()...), dhtSwitch(),
		settings.In("DHT", func(c *Config) *DHTConfig { return c.DHT }, dhtRows()...),
		settings.In("Discovery", func(c *Config) *DiscoveryConfig { return &c.Discovery }, discoveryRows()...),
		settings.In("StoreForward", func(c *Config) *StoreForwardConfig { return &c.StoreForward }, storeForwardRows()...),
		settings.In("Mux", func(c *Config) *MuxConfig { return &c.Mux }, muxRows()...),
	))
})

var sections = []settings.Section{
	{Name: "node", Doc: "What the node is, and where it can be reached."},
	{Name: "tor", Doc: "A Tor that runs on this machine, which publishes the node's onion service. See docs/tor.md."},
	{Name: "proxy", Doc: "The SOCKS5 proxy, of Tor or another one."},
	{Name: "connections", Doc: "How many connections, and how they are kept."},
	{Name: "limits", Doc: "Limits of the memory that peers can use."},
	{Name: "liveness", Doc: "An echo without a handshake, by which others check whether the node can be reached."},
	{Name: "reach", Doc: "Whether others can connect to the node. Connected nodes of gamelan try it, and status says so."},
	{Name: "health", Doc: "When the node is degraded, which health and /readyz say, and how often the log has figures. See docs/operating.md."},
	{Name: "inspect", Doc: "What others are told of connections with them, so that either end shows what both know."},
	{Name: "rpc", Doc: "Remote calls: a session is a substream. It carries many calls at once between nodes of this library, otherwise one."},
	{Name: "dht", Doc: "Messages that are routed over several nodes."},
	{Name: "discovery", Doc: "How the node finds other nodes of the DHT: seeds, rounds of asking for peers, neighbours."},
	{Name: "saf", Doc: "Stored messages: those that this node keeps for others that are away, and its requests for its own."},
	{Name: "inbox", Doc: "Received messages, kept until they are acknowledged."},
	{Name: "mux", Doc: "The multiplexer of a connection."},
}
