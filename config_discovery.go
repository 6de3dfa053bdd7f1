package gamelan

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/discovery"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// DiscoveryConfig is the part of a [Config] that says how the node finds other nodes of
// the DHT. A number or duration that is 0 has its default. With Config.Floor set to
// [NoFloor] the node does none of this of its own accord, and still does it on request.
//
// spec: dht 11.1
type DiscoveryConfig struct {
	// SeedNames are DNS names whose TXT records name seeds, each as
	// KEY::ADDRESS[::ADDRESS…]. They are looked up when the node starts, and again when
	// it has lost its connections. Default: none.
	SeedNames []string

	// NoJoin makes the node not announce itself to others when it is online.
	NoJoin bool
	// NoSync makes the node not ask others for the peers that they know.
	NoSync bool

	// Random is how many nodes, chosen at random, the node stays connected to besides its
	// DHT.Neighbours. Default 4.
	Random int
	// Minimise makes the node close its connections to other nodes than those.
	Minimise bool

	// Update is the pause between checks of these connections. After Refresh the random
	// nodes are replaced in part. Defaults 120 s and 2 h.
	Update, Refresh time.Duration
	// OfflineCooldown is for how long a node that could not be reached is not
	// chosen again. Default 24 h.
	OfflineCooldown time.Duration

	// JoinCooldown is the least pause between announcements. Default 10 min.
	JoinCooldown time.Duration
	// SearchLimit bounds the search for the holder of a key. Default 120 s.
	SearchLimit time.Duration

	// MinPeers is the number of known peers below which the node asks for more in each
	// round. SyncPeers is how many nodes it asks in a round, and PeersPerRound for how
	// many peers each. Defaults 50, 5 and 500.
	MinPeers, SyncPeers, PeersPerRound int
	// IdleAfterRounds is the number of rounds after which the node rests for Idle.
	// Default 10.
	IdleAfterRounds int
	// Idle is how long the node rests between series of rounds, and FailurePause
	// between rounds when nobody has answered. Defaults 30 min and 5 s.
	Idle, FailurePause time.Duration
	// SyncDelay is the pause between the first connection and the first round. Default:
	// none.
	SyncDelay time.Duration
	// ServeWithin is how recently the node must have reached a peer to hand it out to
	// others. Default 60 h. Connected peers are handed out in any case.
	ServeWithin time.Duration
}

func (c *DiscoveryConfig) withDefaults() {
	def(&c.Random, 4)
	def(&c.Update, 2*time.Minute)
	def(&c.Refresh, 2*time.Hour)
	def(&c.OfflineCooldown, 24*time.Hour)
	def(&c.JoinCooldown, 10*time.Minute)
	def(&c.SearchLimit, 2*time.Minute)
	def(&c.MinPeers, 50)
	def(&c.SyncPeers, 5)
	def(&c.PeersPerRound, 500)
	def(&c.IdleAfterRounds, 10)
	def(&c.Idle, 30*time.Minute)
	def(&c.FailurePause, 5*time.Second)
	def(&c.ServeWithin, 60*time.Hour)
}

func (c *DiscoveryConfig) counts() []count {
	return []count{
		{"Discovery.Random", int64(c.Random)},
		{"Discovery.Update", int64(c.Update)},
		{"Discovery.Refresh", int64(c.Refresh)},
		{"Discovery.OfflineCooldown", int64(c.OfflineCooldown)},
		{"Discovery.JoinCooldown", int64(c.JoinCooldown)},
		{"Discovery.SearchLimit", int64(c.SearchLimit)},
		{"Discovery.MinPeers", int64(c.MinPeers)},
		{"Discovery.SyncPeers", int64(c.SyncPeers)},
		{"Discovery.PeersPerRound", int64(c.PeersPerRound)},
		{"Discovery.IdleAfterRounds", int64(c.IdleAfterRounds)},
		{"Discovery.Idle", int64(c.Idle)},
		{"Discovery.FailurePause", int64(c.FailurePause)},
		{"Discovery.SyncDelay", int64(c.SyncDelay)},
		{"Discovery.ServeWithin", int64(c.ServeWithin)},
	}
}

// maxSeedNames bounds the DNS names of seeds.
const maxSeedNames = 16

func (s *settled) checkDiscovery() error {
	c, wrong := &s.Discovery, []error(nil)
	if n := len(c.SeedNames); n > maxSeedNames {
		wrong = append(wrong, badConfig("Discovery.SeedNames", fmt.Errorf("%d names, at most %d; leave some out", n, maxSeedNames)))
	}
	for _, name := range c.SeedNames {
		if err := checkSeedName(name); err != nil {
			wrong = append(wrong, badConfig("Discovery.SeedNames", err))
		}
	}
	if s.DHT == nil && len(c.SeedNames) > 0 {
		wrong = append(wrong, badConfig("Discovery.SeedNames", errors.New("a node with NoDHT does not look for others; leave one of them out")))
	}
	if s.DHT == nil && c.Minimise {
		wrong = append(wrong, badConfig("Discovery.Minimise", errors.New("a node with NoDHT has no neighbours; leave one of them out")))
	}
	if s.DHT != nil && c.Minimise && s.Floor == NoFloor {
		wrong = append(wrong, badConfig("Discovery.Minimise", errors.New("with this Floor the node connects to nobody by itself, so it has no neighbours to keep; leave one of them out")))
	}
	if len(c.SeedNames) > 0 && (c.NoSync || s.Floor == NoFloor) {
		wrong = append(wrong, badConfig("Discovery.SeedNames", errors.New("the names are never looked up with Discovery.NoSync, nor with Floor set to NoFloor; leave one of them out")))
	}
	if c.PeersPerRound > 500 {
		wrong = append(wrong, badConfig("Discovery.PeersPerRound", fmt.Errorf("%d is above 500, the most that a node answers", c.PeersPerRound)))
	}
	if c.Minimise && s.KeepClosest > 0 {
		wrong = append(wrong, badConfig("Discovery.Minimise", errors.New("KeepClosest is set as well, and closes other connections; leave one of them out")))
	}
	if s.DHT != nil && c.Minimise && s.DHT.Neighbours+c.Random < s.Floor {
		wrong = append(wrong, badConfig("Discovery.Minimise", fmt.Errorf("DHT.Neighbours and Random together are below Floor (%d): connections would be made and closed again; raise them or lower Floor", s.Floor)))
	}
	return errors.Join(wrong...)
}

// checkSeedName returns an error if a text cannot be an entry of
// DiscoveryConfig.SeedNames.
func checkSeedName(name string) error {
	if name == "" || len(name) > 253 || strings.ContainsFunc(name, notInName) {
		return fmt.Errorf("%q is not a DNS name; write a name such as seeds.example.org", name)
	}
	return nil
}

func notInName(r rune) bool {
	return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// discoverySettings returns the settings of the part discovery.
func (b *builder) discoverySettings(n *Node) discovery.Settings {
	c := &b.Discovery
	return discovery.Settings{
		Automatic: b.Floor > 0, AutoJoin: !c.NoJoin, Sync: !c.NoSync,
		Floor: max(b.Floor, 0), Neighbours: b.DHT.Neighbours, Random: c.Random, Minimise: c.Minimise,
		Update: c.Update, Refresh: c.Refresh, Cooldown: c.OfflineCooldown, JoinCooldown: c.JoinCooldown, Search: c.SearchLimit,
		MinPeers: c.MinPeers, SyncPeers: c.SyncPeers, RoundPeers: c.PeersPerRound, IdleRounds: c.IdleAfterRounds,
		Idle: c.Idle, FailurePause: c.FailurePause, SyncDelay: c.SyncDelay, ServeWithin: c.ServeWithin,
		Seeds: b.seeds, SeedNames: c.SeedNames, Resolver: b.resolver(),
		Client: func(peer identity.NodeID) rpc.Invoker { return n.RPC().Client(peer, discovery.ServiceID) },
		Host:   n.host(),
	}
}

// resolver returns the first transport that looks up DNS names directly, or nil: names are
// never looked up on the way to a proxy.
func (b *builder) resolver() discovery.Resolver {
	for _, t := range b.transports {
		if r, ok := t.(discovery.Resolver); ok {
			return r
		}
	}
	return nil
}
