package config

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	v1 "github.com/gamelan-p2p/gamelan/dht/kad/wire/v1"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Kind is the kind of a setting's value.
type Kind string

// The kinds of values.
const (
	Text     Kind = "text"             // a string
	Path     Kind = "path"             // a string, absolute in a file
	Choice   Kind = "choice"           // one of Setting.Choices
	Switch   Kind = "switch"           // true or false
	Count    Kind = "count"            // a whole number
	Size     Kind = "size"             // bytes with a unit: "1MiB"
	Duration Kind = "duration"         // with a unit: "30s"
	Addrs    Kind = "list of addrs"    // multiaddrs
	Seeds    Kind = "list of peers"    // KEY::ADDRESS
	Networks Kind = "list of networks" // 10.0.0.0/8
	Ranges   Kind = "list of ranges"   // of multiaddrs, see address.ParseRange
	Peers    Kind = "list of public keys"
	Types    Kind = "list of message types" // whole numbers of 32 bits
	DNSNames Kind = "list of DNS names"
)

// Setting is one row of the table.
type Setting struct {
	Key     string // "mux.window", as in the file; "data_dir" is above all sections
	Kind    Kind
	Choices []string // of a Choice
	Names   []string // words that may stand in place of an Addrs
	Least   int64    // least Count, Size in bytes or Duration in nanoseconds
	Most    int64    // greatest value of these, or length of a list or a Text in bytes; 0: no limit
	Secret  bool     // what follows an equals sign is never shown
	Reload  bool     // a running node applies a change on HUP
	Flag    string   // its flag, if that is not the key with dashes
	Doc     string   // what it does, in sentences
	Example string   // a value as in the file
	Dynamic string   // the default in words, if it is no fixed value

	at func(*Config) any // returns a pointer to the field
}

var networks = []string{"localnet", "mainnet", "stagenet", "nextnet", "igor", "esmeralda"}

// Settings are all settings, in the order of the file.
var Settings = slices.Concat(nodeSettings, torSettings(), otherSettings)

var nodeSettings = []Setting{
	{
		Key: "data_dir", Kind: Path, Example: `"/var/lib/gamelan"`,
		Dynamic: "gamelan in the data directory of XDG, which is ~/.local/share",
		Doc:     "Directory of the node's identity, store, socket and lock. It is made if it does not exist; one node runs in it at a time. In a file the path must be absolute; in the variable and the flag it may be relative to the directory in which the command runs.",
		at:      func(c *Config) any { return &c.Node.DataDir },
	},
	{
		Key: "data_dir_group", Kind: Count, Least: 1, Most: math.MaxInt32, Example: `65532`,
		Dynamic: "none",
		Doc:     "Id of a Unix group whose members may write in the data directory, as with fsGroup of Kubernetes. They are trusted with the node's identity.",
		at:      func(c *Config) any { return &c.Node.DataDirGroup },
	},
	{
		Key: "node.network", Kind: Choice, Choices: networks, Flag: "network", Example: `"localnet"`,
		Dynamic: "that of the identity in the data directory, else localnet",
		Doc:     "Network that the node belongs to. A public network is never assumed, and an identity stays on the network that it was made for.",
		at:      func(c *Config) any { return &c.Node.Network },
	},
	{
		Key: "node.release", Kind: Choice, Choices: releases(), Flag: "release", Example: `"6.2"`,
		Doc: "Release of the Tari reference whose wire bytes are used where releases differ.",
		at:  func(c *Config) any { return &c.Node.Release },
	},
	{
		Key: "node.listen", Kind: Addrs, Names: []string{"nowhere"}, Most: 16, Flag: "listen", Example: `["/ip4/0.0.0.0/tcp/18189"]`,
		Dynamic: "on localnet a free port, kept for the next start, on loopback, or with a seed elsewhere where the way to it leaves; else port 18189 of all interfaces; behind Tor a free loopback port, behind a proxy nowhere",
		Doc:     `Addresses to listen on. "nowhere" alone makes a node that only dials.`,
		at:      func(c *Config) any { return &c.Node.Listen },
	},
	{
		Key: "node.transport", Kind: Choice, Choices: transports, Flag: "transport", Example: `"tor"`,
		Doc: "How the node connects: over TCP; through Tor alone, with an onion service of its own; over TCP, and to onion services through Tor; or through a SOCKS5 proxy alone.",
		at:  func(c *Config) any { return &c.Node.Transport },
	},
	{
		Key: "node.public_addresses", Kind: Addrs, Most: 5, Reload: true, Flag: "public-address", Example: `["/dns4/node.example.org/tcp/18189"]`,
		Dynamic: "what the node listens on, as far as others can reach it",
		Doc:     "Addresses that peers are told to dial. Set them behind a router or a load balancer.",
		at:      func(c *Config) any { return &c.Node.PublicAddresses },
	},
	{
		Key: "node.seeds", Kind: Seeds, Most: 1000, Reload: true, Flag: "peer",
		Example: `["e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76::/ip4/203.0.113.7/tcp/18189"]`,
		Doc:     "Peers to know from the start, each as KEY::ADDRESS, which is what gamelan id --address prints. On a reload new ones are added; none is forgotten.",
		at:      func(c *Config) any { return &c.Node.Seeds },
	},
	{
		Key: "node.user_agent", Kind: Text, Most: int64(protocol.Tari(protocol.LocalNet).Limits.UserAgent), Flag: "user-agent", Example: `"relay-3"`,
		Dynamic: "gamelan and its version",
		Doc:     "Software name that peers see. gamelan and its version are appended, unless it contains them, and count towards the 50 bytes.",
		at:      func(c *Config) any { return &c.Node.UserAgent },
	},
	{
		Key: "node.client", Kind: Switch, Flag: "client", Example: `true`,
		Doc: "Makes the node a client: others do not count it as a node of the network.",
		at:  func(c *Config) any { return &c.Node.Client },
	},
	{
		Key: "node.plain_on_profile", Kind: Switch, Flag: "plain-on-profile", Example: `true`,
		Doc: "Sends messages to connected peers on the network's own protocol, t/msg/0.1. For nodes of Tari's comms library that run without a DHT. It needs dht.enabled = false. Other nodes of gamelan hear this one only if they have the same setting.",
		at:  func(c *Config) any { return &c.Node.PlainOnProfile },
	},
	{
		Key: "node.plain_protocol", Kind: Text, Most: protocol.MaxID, Example: `"myapp/msg/1"`,
		Dynamic: "gamelan/msg/1",
		Doc:     "Protocol of messages to connected peers, printable ASCII without a comma. Only nodes with the same protocol exchange them.",
		at:      func(c *Config) any { return &c.Node.PlainID },
	},
}

var otherSettings = []Setting{
	{
		Key: "connections.keep_alive", Kind: Duration, Least: int64(time.Second), Most: int64(time.Hour), Example: `"1m"`,
		Doc: "Silence after which a connection is pinged; over TCP without a proxy 15s at most.",
		at:  func(c *Config) any { return &c.Node.KeepAlive },
	},
	{
		Key: "connections.min_connected", Kind: Count, Least: 1, Most: 10_000, Example: `3`,
		Doc: "Connected nodes that make this node online.",
		at:  func(c *Config) any { return &c.Node.MinConnected },
	},
	{
		Key: "connections.max_inbound", Kind: Count, Least: 1, Most: 100_000, Example: `200`,
		Doc: "Greatest number of connections that peers have made. A further one replaces a connection that has been idle for 30 s and was never used, or is refused.",
		at:  func(c *Config) any { return &c.Node.MaxInbound },
	},
	{
		Key: "connections.max_setups", Kind: Count, Least: 1, Most: 10_000, Example: `50`,
		Doc: "Greatest number of inbound connections that are not ready yet. A further one replaces the least advanced of the source that has most of them, if that is over 250 ms old. Otherwise the new one is refused.",
		at:  func(c *Config) any { return &c.Node.MaxSetups },
	},
	{
		Key: "connections.max_dials", Kind: Count, Least: 1, Most: 1_000, Example: `16`,
		Doc: "Greatest number of automatic dials at once.",
		at:  func(c *Config) any { return &c.Node.MaxDials },
	},
	{
		Key: "connections.dial_rate", Kind: Count, Least: 1, Most: 1_000, Example: `5`,
		Doc: "Greatest number of automatic dials begun within a second.",
		at:  func(c *Config) any { return &c.Node.DialRate },
	},
	{
		Key: "connections.floor", Kind: Count, Least: -1, Most: 1_000, Example: `12`,
		Doc: "Least number of connected nodes: with fewer the node dials others by itself. 0 or -1 is none.",
		at:  func(c *Config) any { return &c.Node.Floor },
	},
	{
		Key: "connections.max_inbound_per_source", Kind: Count, Least: 1, Most: 100_000, Example: `8`,
		Doc: "Greatest number of connections from one IPv4 address or IPv6 /64; loopback has no such limit.",
		at:  func(c *Config) any { return &c.Node.MaxInboundPerSource },
	},
	{
		Key: "connections.max_setups_per_source", Kind: Count, Least: 1, Most: 10_000, Example: `2`,
		Doc: "Greatest number of inbound connections from one IPv4 address or IPv6 /64 that are not ready yet.",
		at:  func(c *Config) any { return &c.Node.MaxSetupsPerSource },
	},
	{
		Key: "connections.max_inbound_per_subnet", Kind: Count, Least: 1, Most: 100_000, Example: `32`,
		Doc: "Greatest number of connections from one IPv4 /24 or IPv6 /48.",
		at:  func(c *Config) any { return &c.Node.MaxInboundPerSubnet },
	},
	{
		Key: "connections.max_setups_per_subnet", Kind: Count, Least: 1, Most: 10_000, Example: `8`,
		Doc: "Greatest number of inbound connections from one IPv4 /24 or IPv6 /48 that are not ready yet.",
		at:  func(c *Config) any { return &c.Node.MaxSetupsPerSubnet },
	},
	{
		Key: "connections.max_setup_rate_per_source", Kind: Count, Least: 1, Most: 1_000_000, Example: `30`,
		Doc: "Most inbound connections from one IPv4 address or IPv6 /64 that begin in a minute, on average. After a pause as many may begin at once. From one IPv4 /24 or IPv6 /48 come four times as many. Loopback and exempt sources have no such limit.",
		at:  func(c *Config) any { return &c.Node.MaxSetupRatePerSource },
	},
	{
		Key: "connections.max_offences_per_source", Kind: Count, Least: 1, Most: 1_000_000, Example: `20`,
		Doc: "Greatest number of offences from one IPv4 address or IPv6 /64 within 10 min, with any keys; after that the source is refused for 10 min. An offence causes a ban, or ends a connection because of churn. Loopback and exempt sources are not counted.",
		at:  func(c *Config) any { return &c.Node.MaxOffencesPerSource },
	},
	{
		Key: "connections.exempt_sources", Kind: Networks, Most: 64, Example: `["10.0.0.0/8"]`,
		Doc: "Networks whose addresses have no limits per source and per subnet.",
		at:  func(c *Config) any { return &c.Node.ExemptSources },
	},
	{
		Key: "connections.exclude_dial", Kind: Ranges, Most: 256, Example: `["/ip4/198.51.100.*/tcp/*"]`,
		Doc: "Addresses that the node never dials: multiaddrs, ranges of them, networks. It never dials its own either.",
		at:  func(c *Config) any { return &c.Node.ExcludeDial },
	},
	{
		Key: "connections.allow", Kind: Peers, Most: 1000, Reload: true, Example: `["e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"]`,
		Doc: "Peers that are never banned: not for an offence, not on request and not by an import. An earlier ban is lifted. Node ids are possible, too.",
		at:  func(c *Config) any { return &c.Node.Allow },
	},
	{
		Key: "connections.keep_closest", Kind: Count, Least: 1, Most: 10_000, Example: `50`,
		Dynamic: "all",
		Doc:     "Number of connected nodes to keep, the closest to this one. Connections to others are closed, except to allowed or protected peers. Not below connections.floor.",
		at:      func(c *Config) any { return &c.Node.KeepClosest },
	},
	{
		Key: "liveness.allow", Kind: Networks, Most: 64, Example: `["127.0.0.1/32"]`,
		Doc: "Networks from which anybody may check, without a handshake, whether the node can be reached.",
		at:  func(c *Config) any { return &c.Node.LivenessAllow },
	},
	{
		Key: "liveness.slots", Kind: Count, Least: 1, Most: 100, Example: `4`,
		Doc: "Greatest number of such checks at once.",
		at:  func(c *Config) any { return &c.Node.LivenessSlots },
	},
	{
		Key: "reach.off", Kind: Switch, Example: `true`,
		Doc: "Makes the node not find out whether others can connect to it, and not help others to. With Tor or a proxy it never does.",
		at:  func(c *Config) any { return &c.Node.Reach.Off },
	},
	{
		Key: "reach.no_dial_back", Kind: Switch, Example: `true`,
		Doc: "Makes the node not connect to others that ask for it to find out whether they can be reached.",
		at:  func(c *Config) any { return &c.Node.Reach.NoDialBack },
	},
	{
		Key: "limits.node_credit", Kind: Size, Least: 1 << 20, Most: 1 << 40, Example: `"512MiB"`,
		Doc: "Bytes of unfinished messages in the whole node, half for each direction. It must be at least eight times limits.peer_credit.",
		at:  func(c *Config) any { return &c.Node.NodeCredit },
	},
	{
		Key: "limits.peer_credit", Kind: Size, Least: 1 << 10, Most: 1 << 30, Example: `"2MiB"`,
		Doc: "Bytes of unfinished messages with one peer in one direction; a message counts as its length plus 256. When they are used up, further messages wait.",
		at:  func(c *Config) any { return &c.Node.PeerCredit },
	},
	{
		Key: "limits.max_peers", Kind: Count, Least: 1, Most: 10_000_000, Example: `10000`,
		Doc: "Greatest number of known peers; the least useful ones are removed for new ones.",
		at:  func(c *Config) any { return &c.Node.MaxPeers },
	},
	{
		Key: "rpc.max_sessions", Kind: Count, Least: 1, Most: 100_000, Example: `50`,
		Doc: "Greatest number of sessions of all peers with this node's services. Above it, an idle session of the source that has most is evicted, or the peer is asked to try again later.",
		at:  func(c *Config) any { return &c.Node.RPC.MaxSessions },
	},
	{
		Key: "rpc.max_peer_sessions", Kind: Count, Least: 1, Most: 255, Example: `4`,
		Doc: "Greatest number of these sessions for one peer.",
		at:  func(c *Config) any { return &c.Node.RPC.MaxPeerSessions },
	},
	{
		Key: "rpc.client_sessions", Kind: Count, Least: 1, Most: 255, Example: `8`,
		Doc: "Greatest number of sessions of this node with one service of one peer, which is also the number of calls that run at once. Many peers allow 10.",
		at:  func(c *Config) any { return &c.Node.RPC.ClientSessions },
	},
	{
		Key: "rpc.idle", Kind: Duration, Least: int64(time.Second), Most: int64(24 * time.Hour), Example: `"1m"`,
		Doc: "How long a peer may keep a session without making a call.",
		at:  func(c *Config) any { return &c.Node.RPC.Idle },
	},
	{
		Key: "dht.enabled", Kind: Switch, Flag: "dht", Example: `false`,
		Doc: "Makes the node take part in the DHT, which routes messages over several nodes. Nodes of gamelan send no DHT messages to a node without it, but exchange messages with it while they are connected.",
		at:  func(c *Config) any { return &c.DHTEnabled },
	},
	{
		Key: "dht.types", Kind: Types, Most: 64, Example: `[225]`,
		Doc: "Types of messages over the DHT that gamelan listen shows beside text, the type of gamelan send. The node drops messages of types without a receiver here.",
		at:  func(c *Config) any { return &c.DHTTypes },
	},
	{
		Key: "dht.no_forwarding", Kind: Switch, Example: `true`,
		Doc: "Makes the node drop messages for other nodes instead of relaying them. It relays Joins, by which nodes become known.",
		at:  func(c *Config) any { return &c.DHT.NoForwarding },
	},
	{
		Key: "dht.send_pace", Kind: Count, Least: 1, Most: 1_000_000, Example: `300`,
		Doc: "Greatest number of messages over the DHT within a minute to one peer that does not run gamelan: such peers may ban for more than 1000. Further messages wait.",
		at:  func(c *Config) any { return &c.DHT.SendPace },
	},
	{
		Key: "dht.flood_limit", Kind: Count, Least: 1, Most: 100_000_000, Example: `6000`,
		Doc: "Number of messages from one peer over the DHT within a minute, counting those that no handler here accepts, above which the peer is banned.",
		at:  func(c *Config) any { return &c.DHT.FloodLimit },
	},
	{
		Key: "dht.relay_bytes", Kind: Size, Least: 1, Most: dht.MaxRelayBytes, Example: `"64MiB"`,
		Doc: "Bytes of messages for other nodes that are relayed within a minute for one source. A source is an IPv4 address or an IPv6 /64; for connections such as Tor's, whose address means nothing, it is one peer. Further messages are dropped.",
		at:  func(c *Config) any { return &c.DHT.RelayBytes },
	},
	{
		Key: "dht.occurrences", Kind: Count, Least: 1, Most: 1_000, Example: `3`,
		Doc: "How many copies of the same message are accepted; further copies are dropped.",
		at:  func(c *Config) any { return &c.DHT.Occurrences },
	},
	{
		Key: "dht.dedup_capacity", Kind: Count, Least: 1, Most: 10_000_000, Example: `100000`,
		Doc: "Number of messages that are remembered, to recognise their copies.",
		at:  func(c *Config) any { return &c.DHT.DedupCapacity },
	},
	{
		Key: "dht.broadcast", Kind: Count, Least: 1, Most: 1_000, Example: `4`,
		Doc: "Number of connected nodes to which a broadcast is sent.",
		at:  func(c *Config) any { return &c.DHT.Broadcast },
	},
	{
		Key: "dht.propagation", Kind: Count, Least: 1, Most: 1_000, Example: `10`,
		Doc: "Number of connected nodes to which a message for another destination is relayed.",
		at:  func(c *Config) any { return &c.DHT.Propagation },
	},
	{
		Key: "dht.neighbours", Kind: Count, Least: 1, Most: 1_000, Example: `16`,
		Doc: "How many of the nodes closest to this one are its neighbours.",
		at:  func(c *Config) any { return &c.DHT.Neighbours },
	},
	{
		Key: "dht.shards", Kind: Count, Least: 1, Most: 256, Example: `4`,
		Doc: "Number of actors that share the work on messages received over the DHT.",
		at:  func(c *Config) any { return &c.DHT.Shards },
	},
	{
		Key: "discovery.seed_names", Kind: DNSNames, Most: 16, Flag: "seed-name", Example: `["seeds.example.org"]`,
		Doc: "DNS names whose TXT records name seeds, each as KEY::ADDRESS. They are looked up at the start, and again when the node has lost its connections, but never through a proxy.",
		at:  func(c *Config) any { return &c.Node.Discovery.SeedNames },
	},
	{
		Key: "discovery.no_join", Kind: Switch, Flag: "no-join", Example: `true`,
		Doc: "Makes the node not announce itself to others when it is online. gamelan join still does it on request.",
		at:  func(c *Config) any { return &c.Node.Discovery.NoJoin },
	},
	{
		Key: "discovery.no_sync", Kind: Switch, Flag: "no-sync", Example: `true`,
		Doc: "Makes the node not ask seeds and other nodes for the peers that they know. gamelan network sync still does it on request.",
		at:  func(c *Config) any { return &c.Node.Discovery.NoSync },
	},
	{
		Key: "discovery.random", Kind: Count, Least: 1, Most: 1_000, Example: `6`,
		Doc: "Number of nodes, chosen at random, that this node stays connected to besides its dht.neighbours.",
		at:  func(c *Config) any { return &c.Node.Discovery.Random },
	},
	{
		Key: "discovery.minimise", Kind: Switch, Example: `true`,
		Doc: "Makes the node close its connections to other nodes than its neighbours and random nodes. It excludes connections.keep_closest, and needs connections.floor.",
		at:  func(c *Config) any { return &c.Node.Discovery.Minimise },
	},
	{
		Key: "discovery.update", Kind: Duration, Least: int64(time.Second), Most: int64(24 * time.Hour), Example: `"5m"`,
		Doc: "Pause between checks of the connections to neighbours and random nodes.",
		at:  func(c *Config) any { return &c.Node.Discovery.Update },
	},
	{
		Key: "discovery.refresh", Kind: Duration, Least: int64(time.Second), Most: int64(720 * time.Hour), Example: `"6h"`,
		Doc: "Time after which the random nodes are replaced in part.",
		at:  func(c *Config) any { return &c.Node.Discovery.Refresh },
	},
	{
		Key: "discovery.offline_cooldown", Kind: Duration, Least: int64(time.Second), Most: int64(720 * time.Hour), Example: `"1h"`,
		Doc: "Time for which a node that could not be reached is not chosen again as a neighbour or random node.",
		at:  func(c *Config) any { return &c.Node.Discovery.OfflineCooldown },
	},
	{
		Key: "discovery.join_cooldown", Kind: Duration, Least: int64(time.Second), Most: int64(24 * time.Hour), Example: `"20m"`,
		Doc: "Least pause between announcements that the node makes by itself.",
		at:  func(c *Config) any { return &c.Node.Discovery.JoinCooldown },
	},
	{
		Key: "discovery.search_limit", Kind: Duration, Least: int64(time.Second), Most: int64(time.Hour), Example: `"1m"`,
		Doc: "Longest search for the holder of a key.",
		at:  func(c *Config) any { return &c.Node.Discovery.SearchLimit },
	},
	{
		Key: "discovery.min_peers", Kind: Count, Least: 1, Most: 1_000_000, Example: `100`,
		Doc: "Number of known peers below which the node asks others for more in each round.",
		at:  func(c *Config) any { return &c.Node.Discovery.MinPeers },
	},
	{
		Key: "discovery.sync_peers", Kind: Count, Least: 1, Most: 100, Example: `8`,
		Doc: "Number of nodes that the node asks for peers in one round.",
		at:  func(c *Config) any { return &c.Node.Discovery.SyncPeers },
	},
	{
		Key: "discovery.peers_per_round", Kind: Count, Least: 1, Most: 500, Example: `200`,
		Doc: "Number of peers that one node is asked for in a round.",
		at:  func(c *Config) any { return &c.Node.Discovery.PeersPerRound },
	},
	{
		Key: "discovery.idle_after_rounds", Kind: Count, Least: 1, Most: 10_000, Example: `20`,
		Doc: "Number of rounds after which the node rests for discovery.idle.",
		at:  func(c *Config) any { return &c.Node.Discovery.IdleAfterRounds },
	},
	{
		Key: "discovery.idle", Kind: Duration, Least: int64(time.Second), Most: int64(24 * time.Hour), Example: `"1h"`,
		Doc: "Rest between series of rounds.",
		at:  func(c *Config) any { return &c.Node.Discovery.Idle },
	},
	{
		Key: "discovery.failure_pause", Kind: Duration, Least: int64(time.Second), Most: int64(time.Hour), Example: `"10s"`,
		Doc: "Pause after a round in which nobody answered.",
		at:  func(c *Config) any { return &c.Node.Discovery.FailurePause },
	},
	{
		Key: "discovery.sync_delay", Kind: Duration, Least: int64(time.Millisecond), Most: int64(time.Hour), Example: `"30s"`,
		Dynamic: "none",
		Doc:     "Pause between the first connection and the first round.",
		at:      func(c *Config) any { return &c.Node.Discovery.SyncDelay },
	},
	{
		Key: "discovery.serve_within", Kind: Duration, Least: int64(time.Minute), Most: int64(720 * time.Hour), Example: `"24h"`,
		Doc: "How recently the node must have reached a peer to hand it out to others. Connected peers are handed out in any case.",
		at:  func(c *Config) any { return &c.Node.Discovery.ServeWithin },
	},
	storeForward(Setting{
		Key: "saf.no_store", Kind: Switch, Example: `true`,
		Doc: "Makes the node store no further messages for others. What it stores is still handed out until it expires.",
	}, func(c *gamelan.StoreForwardConfig) any { return &c.NoStore }),
	storeForward(Setting{
		Key: "saf.no_requests", Kind: Switch, Example: `true`,
		Doc: "Makes the node not ask the nodes that it connects to for messages that they store for it. gamelan saf fetch still does it on request.",
	}, func(c *gamelan.StoreForwardConfig) any { return &c.NoRequests }),
	storeForward(Setting{
		Key: "saf.since_last", Kind: Switch, Example: `true`,
		Doc: "Makes the node ask a node only for messages that it stored since the last ones that were all handled here. Nodes of Tari then delete all older messages, also those for others.",
	}, func(c *gamelan.StoreForwardConfig) any { return &c.SinceLast }),
	storeLimit(Setting{
		Key: "saf.max_messages", Kind: Count, Example: `20000`,
		Doc: "Most messages that are stored for others.",
	}, func(l *saf.Limits) any { return &l.Messages }),
	storeLimit(Setting{
		Key: "saf.max_bytes", Kind: Size, Example: `"4GiB"`,
		Doc: "Most bytes of messages that are stored for others.",
	}, func(l *saf.Limits) any { return &l.Bytes }),
	storeLimit(Setting{
		Key: "saf.max_source_messages", Kind: Count, Example: `5000`,
		Doc: "Most stored messages that one connected peer has brought.",
	}, func(l *saf.Limits) any { return &l.SourceMessages }),
	storeLimit(Setting{
		Key: "saf.max_source_bytes", Kind: Size, Example: `"64MiB"`,
		Doc: "Most bytes of stored messages that one connected peer has brought.",
	}, func(l *saf.Limits) any { return &l.SourceBytes }),
	storeLimit(Setting{
		Key: "saf.max_receiver_messages", Kind: Count, Example: `500`,
		Doc: "Most messages that are stored for one receiver.",
	}, func(l *saf.Limits) any { return &l.DestinationMessages }),
	storeLimit(Setting{
		Key: "saf.max_receiver_bytes", Kind: Size, Example: `"32MiB"`,
		Doc: "Most bytes of messages that are stored for one receiver.",
	}, func(l *saf.Limits) any { return &l.DestinationBytes }),
	storeLimit(Setting{
		Key: "saf.max_pair_messages", Kind: Count, Example: `200`,
		Doc: "Most messages for one receiver that one connected peer has brought. At this limit they evict each other, and nothing that other peers have brought.",
	}, func(l *saf.Limits) any { return &l.PairMessages }),
	storeLimit(Setting{
		Key: "saf.max_pair_bytes", Kind: Size, Example: `"8MiB"`,
		Doc: "Most bytes of messages for one receiver that one connected peer has brought.",
	}, func(l *saf.Limits) any { return &l.PairBytes }),
	storeLimit(Setting{
		Key: "saf.max_body", Kind: Size, Least: 6016, Most: saf.MostMessage, Example: `"64KiB"`,
		Doc: "Length of the longest message that is stored, encrypted and padded.",
	}, func(l *saf.Limits) any { return &l.Message }),
	storeLimit(Setting{
		Key: "saf.keep_known", Kind: Duration, Least: int64(time.Second), Example: `"24h"`,
		Doc: "How long messages for known peers are stored. Receivers that run Gamelan take none that expired more than 72h ago.",
	}, func(l *saf.Limits) any { return &l.High }),
	storeLimit(Setting{
		Key: "saf.keep_unknown", Kind: Duration, Least: int64(time.Second), Example: `"1h"`,
		Doc: "How long messages for unknown peers are stored.",
	}, func(l *saf.Limits) any { return &l.Low }),
	storeLimit(Setting{
		Key: "saf.grace", Kind: Duration, Least: int64(saf.LeastGrace), Example: `"10m"`,
		Doc: "How long a message is stored, and repeated, after its receiver has read it for the first time.",
	}, func(l *saf.Limits) any { return &l.Grace }),
	storeLimit(Setting{
		Key: "saf.max_answer", Kind: Count, Most: saf.MostAnswer, Example: `20`,
		Doc: "Most messages in one answer to a receiver.",
	}, func(l *saf.Limits) any { return &l.Answer }),
	{
		Key: "kad.enabled", Kind: Switch, Flag: "kad", Example: `true`,
		Doc: "Runs a client of the key-value DHT, over the connections of the node. The verbs of gamelan kad use it.",
		at:  func(c *Config) any { return &c.Kad.Enabled },
	},
	{
		Key: "kad.client_only", Kind: Switch, Example: `true`,
		Doc: "Makes the client ask others and serve nobody: it stores nothing for others, and nobody learns of it.",
		at:  func(c *Config) any { return &c.Kad.ClientOnly },
	},
	{
		Key: "kad.network", Kind: Text, Most: v1.MaxNetwork, Example: `"staging"`,
		Dynamic: "the common one",
		Doc:     "Name of a network of the key-value DHT apart from the common one. Only clients of the same network meet.",
		at:      func(c *Config) any { return &c.Kad.Network },
	},
	{
		Key: "kad.max_records", Kind: Count, Least: 1, Most: 10_000_000, Example: `20000`,
		Doc: "Most records that the client stores for others. They are in memory and on the disk.",
		at:  func(c *Config) any { return &c.Kad.MaxRecords },
	},
	{
		Key: "kad.max_bytes", Kind: Size, Least: 64 << 10, Most: 1 << 36, Example: `"64MiB"`,
		Doc: "Most bytes of these records, each with 256 bytes for what belongs to it.",
		at:  func(c *Config) any { return &c.Kad.MaxBytes },
	},
	{
		Key: "inbox.max_bytes", Kind: Size, Least: gamelan.InboxLeast(protocol.Tari(protocol.LocalNet).Limits.MessageBody, true), Most: 1 << 40, Example: `"1GiB"`,
		Doc: "Bytes on the disk for messages that are not acknowledged yet, including their metadata. Messages of connected peers take at most three quarters; beyond that their senders wait. Messages over the DHT take at most three quarters, too. A peer has at most half of what is free for them, an author a quarter; further ones are dropped and counted as inbox full. The least value has room for the largest message over the DHT when nothing else is kept.",
		at:  func(c *Config) any { return &c.Inbox.MaxBytes },
	},
	{
		Key: "inbox.max_messages", Kind: Count, Least: 1, Most: 10_000_000, Example: `10000`,
		Doc: "Number of messages on the disk that are not acknowledged yet. Messages of connected peers, and those over the DHT, take shares of it as of max_bytes. Each takes about 60 bytes of memory, and up to 300 over the DHT if every one has another author.",
		at:  func(c *Config) any { return &c.Inbox.MaxMessages },
	},
	{
		Key: "mux.max_streams", Kind: Count, Least: 2, Most: 256, Example: `120`,
		Doc: "Live substreams of one connection, in both directions together, stay below this number. Peers of release 6.2 end a connection at 128.",
		at:  func(c *Config) any { return &c.Node.Mux.MaxStreams },
	},
	{
		Key: "mux.max_inbound", Kind: Count, Least: 1, Most: 255, Example: `48`,
		Doc: "Greatest number of live substreams of one connection that the peer has opened; it must be less than mux.max_streams.",
		at:  func(c *Config) any { return &c.Node.Mux.MaxInbound },
	},
	{
		Key: "mux.window", Kind: Size, Least: 256 << 10, Most: 16 << 20, Example: `"512KiB"`,
		Doc: "Unread bytes that a substream holds before the peer must stop.",
		at:  func(c *Config) any { return &c.Node.Mux.Window },
	},
	{
		Key: "mux.write_timeout", Kind: Duration, Least: int64(time.Second), Most: int64(time.Hour), Example: `"2m"`,
		Doc: "How long one write may wait for the network; then the connection ends. 2m is right over Tor. Unless it is set, mux.stall_timeout applies to TCP without a proxy.",
		at:  func(c *Config) any { return &c.Node.Mux.WriteTimeout },
	},
	{
		Key: "mux.ping_timeout", Kind: Duration, Least: int64(time.Second), Most: int64(time.Hour), Example: `"2m"`,
		Dynamic: "mux.write_timeout and 5s",
		Doc:     "How long the answer to a ping may take through a proxy; then the connection ends. Direct ones end after 15s without an acknowledgement, or 30s of silence.",
		at:      func(c *Config) any { return &c.Node.Mux.PingTimeout },
	},
	{
		Key: "mux.stall_timeout", Kind: Duration, Least: int64(time.Second), Most: int64(time.Hour), Example: `"5m"`,
		Doc: "How long a substream waits for its peer to take at least one byte.",
		at:  func(c *Config) any { return &c.Node.Mux.StallTimeout },
	},
	{
		Key: "mux.close_timeout", Kind: Duration, Least: int64(time.Second), Most: int64(24 * time.Hour), Example: `"1m"`,
		Doc: "How long a substream whose own half is closed waits for the peer's half.",
		at:  func(c *Config) any { return &c.Node.Mux.CloseTimeout },
	},
	{
		Key: "mux.linger_timeout", Kind: Duration, Least: int64(100 * time.Millisecond), Most: int64(time.Hour), Example: `"30s"`,
		Doc: "How long a substream that was closed after the end of its own half waits for the peer's half.",
		at:  func(c *Config) any { return &c.Node.Mux.LingerTimeout },
	},
	{
		Key: "mux.idle_timeout", Kind: Duration, Least: int64(100 * time.Millisecond), Most: int64(time.Hour), Example: `"10s"`,
		Doc: "Silence after which the empty receive buffers of a connection are released.",
		at:  func(c *Config) any { return &c.Node.Mux.IdleTimeout },
	},
	{
		Key: "log.level", Kind: Choice, Choices: []string{"debug", "info", "warn", "error"}, Reload: true, Example: `"info"`,
		Doc: "Least important messages that are logged, on standard error.",
		at:  func(c *Config) any { return &c.LogLevel },
	},
	{
		Key: "log.format", Kind: Choice, Choices: []string{"text", "json"}, Example: `"json"`,
		Doc: "How messages are logged. With --json it is json.",
		at:  func(c *Config) any { return &c.LogFormat },
	},
	{
		Key: "daemon.drain", Kind: Duration, Least: int64(time.Millisecond), Most: int64(time.Hour), Reload: true, Flag: "drain", Example: `"1m"`,
		Doc: "Time to finish accepted messages when the node stops.",
		at:  func(c *Config) any { return &c.Drain },
	},
}

// Sections are the sections, each with a line about its settings.
var Sections = []struct{ Name, Doc string }{
	{"node", "What the node is, and where it can be reached."},
	{"tor", "A Tor that runs on this machine, which publishes the node's onion service. See docs/tor.md."},
	{"proxy", "The SOCKS5 proxy, of Tor or another one."},
	{"connections", "How many connections, and how they are kept."},
	{"limits", "Limits of the memory that peers can use."},
	{"liveness", "An echo without a handshake, by which others check whether the node can be reached."},
	{"reach", "Whether others can connect to the node. Connected nodes of gamelan try it, and status says so."},
	{"rpc", "Remote calls: a session is a substream that carries one call at a time."},
	{"dht", "Messages that are routed over several nodes."},
	{"discovery", "How the node finds other nodes of the DHT: seeds, rounds of asking for peers, neighbours."},
	{"saf", "Stored messages: those that this node keeps for others that are away, and its requests for its own."},
	{"kad", "The key-value DHT, a Kademlia network for small values: the client that this node runs. It has nothing in common with the DHT that passes messages on."},
	{"inbox", "Received messages, kept until they are acknowledged: see gamelan listen."},
	{"mux", "The multiplexer of a connection."},
	{"log", "The log, on standard error."},
	{"daemon", "The running of the program."},
}

func releases() []string {
	var all []string
	for _, r := range []protocol.Release{protocol.Release6, protocol.Release17, protocol.ReleaseRC5} {
		all = append(all, r.String())
	}
	return all
}

// Find returns the setting of a key.
func Find(key string) (*Setting, bool) {
	i := slices.IndexFunc(Settings, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return nil, false
	}
	return &Settings[i], true
}

// Section returns the part of the key before the dot, or "" above all sections.
func (s *Setting) Section() string {
	section, _, found := strings.Cut(s.Key, ".")
	if !found {
		return ""
	}
	return section
}

// Name returns the part of the key after the dot.
func (s *Setting) Name() string { return s.Key[strings.LastIndexByte(s.Key, '.')+1:] }

// Variable returns the environment variable of the setting: GAMELAN_MUX_WINDOW.
func (s *Setting) Variable() string {
	return "GAMELAN_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// FlagName returns the flag of the setting without the leading dashes.
func (s *Setting) FlagName() string {
	if s.Flag != "" {
		return s.Flag
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// List reports whether the value is a list.
func (s *Setting) List() bool { return s.Kind.list() }

func (k Kind) list() bool {
	switch k {
	case Addrs, Seeds, Networks, Ranges, Peers, Types, DNSNames:
		return true
	}
	return false
}
