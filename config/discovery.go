package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// DiscoveryConfig is the part of a [Config] that says how the node finds other nodes of
// the DHT. A number or duration that is 0 has its default. With Config.Floor set to
// [NoFloor] the node does none of this of its own accord, and still does it on request.
//
// spec: dht 11.1
type DiscoveryConfig struct {
	// DNS names whose TXT records name seeds, each as KEY::ADDRESS. They are looked up at the start,
	// and again when the node has lost its connections, but never through a proxy.
	//
	// More addresses may follow: KEY::ADDRESS::ADDRESS.
	SeedNames []string

	// Makes the node not announce itself to others when it is online. It still does so on request.
	NoJoin bool

	// Makes the node not ask seeds and other nodes for the peers that they know. It still does so on
	// request.
	NoSync bool

	// Number of nodes, chosen at random, that this node stays connected to besides its
	// [DHTConfig.Neighbours]. Default 4.
	Random int

	// Makes the node close its connections to other nodes than its neighbours and random nodes. It
	// excludes [Config.KeepClosest], and needs [Config.Floor].
	Minimise bool

	// Pause between checks of the connections to neighbours and random nodes. Default 120 s.
	Update time.Duration

	// Time after which the random nodes are replaced in part. Default 2 h.
	Refresh time.Duration

	// Time for which a node that could not be reached is not chosen again as a neighbour or random node.
	// Default 24 h.
	OfflineCooldown time.Duration

	// Least pause between announcements that the node makes by itself. Default 10 min.
	JoinCooldown time.Duration

	// Longest search for the holder of a key. Default 120 s.
	SearchLimit time.Duration

	// Number of known peers below which the node asks others for more in each round. Default 50.
	MinPeers int

	// Number of nodes that the node asks for peers in one round. Default 5.
	SyncPeers int

	// Number of peers that one node is asked for in a round.
	//
	// No node answers with more than 500. Default 500.
	PeersPerRound int

	// Number of rounds after which the node rests for [DiscoveryConfig.Idle]. Default 10.
	IdleAfterRounds int

	// Rest between series of rounds. Default 30 min.
	Idle time.Duration

	// Pause after a round in which nobody answered. Default 5 s.
	FailurePause time.Duration

	// Pause between the first connection and the first round.
	//
	// 0 means none.
	SyncDelay time.Duration

	// How recently the node must have reached a peer to hand it out to others. Connected peers are handed
	// out in any case. Default 60 h.
	ServeWithin time.Duration
}

func discoveryRows() []*settings.Row {
	type opt = settings.Options
	const day = 24 * time.Hour
	return []*settings.Row{
		settings.List("discovery.seed_names", settings.DNSNames, func(c *DiscoveryConfig) *[]string { return &c.SeedNames }, 16, `["seeds.example.org"]`).
			With(opt{Flag: "seed-name"}),
		settings.On("discovery.no_join", func(c *DiscoveryConfig) *bool { return &c.NoJoin }).With(opt{Flag: "no-join"}),
		settings.On("discovery.no_sync", func(c *DiscoveryConfig) *bool { return &c.NoSync }).With(opt{Flag: "no-sync"}),
		settings.Number("discovery.random", func(c *DiscoveryConfig) *int { return &c.Random }, 4, 1, 1_000, `6`),
		settings.On("discovery.minimise", func(c *DiscoveryConfig) *bool { return &c.Minimise }),
		settings.Number("discovery.update", func(c *DiscoveryConfig) *time.Duration { return &c.Update }, 2*time.Minute, time.Second, day, `"5m"`),
		settings.Number("discovery.refresh", func(c *DiscoveryConfig) *time.Duration { return &c.Refresh }, 2*time.Hour, time.Second, 30*day, `"6h"`),
		settings.Number("discovery.offline_cooldown", func(c *DiscoveryConfig) *time.Duration { return &c.OfflineCooldown }, day, time.Second, 30*day, `"1h"`),
		settings.Number("discovery.join_cooldown", func(c *DiscoveryConfig) *time.Duration { return &c.JoinCooldown }, 10*time.Minute, time.Second, day, `"20m"`),
		settings.Number("discovery.search_limit", func(c *DiscoveryConfig) *time.Duration { return &c.SearchLimit }, 2*time.Minute, time.Second, time.Hour, `"1m"`),
		settings.Number("discovery.min_peers", func(c *DiscoveryConfig) *int { return &c.MinPeers }, 50, 1, 1_000_000, `100`),
		settings.Number("discovery.sync_peers", func(c *DiscoveryConfig) *int { return &c.SyncPeers }, 5, 1, 100, `8`),
		settings.Number("discovery.peers_per_round", func(c *DiscoveryConfig) *int { return &c.PeersPerRound }, 500, 1, 500, `200`),
		settings.Number("discovery.idle_after_rounds", func(c *DiscoveryConfig) *int { return &c.IdleAfterRounds }, 10, 1, 10_000, `20`),
		settings.Number("discovery.idle", func(c *DiscoveryConfig) *time.Duration { return &c.Idle }, 30*time.Minute, time.Second, day, `"1h"`),
		settings.Number("discovery.failure_pause", func(c *DiscoveryConfig) *time.Duration { return &c.FailurePause }, 5*time.Second, time.Second, time.Hour, `"10s"`),
		settings.Number("discovery.sync_delay", func(c *DiscoveryConfig) *time.Duration { return &c.SyncDelay }, 0, time.Millisecond, time.Hour, `"30s"`).
			With(opt{Dynamic: "none"}),
		settings.Number("discovery.serve_within", func(c *DiscoveryConfig) *time.Duration { return &c.ServeWithin }, 60*time.Hour, time.Minute, 30*day, `"24h"`),
	}
}

// checkDiscovery returns what the settings of discovery say of others.
func (s *Settled) checkDiscovery() (wrong []error) {
	c := &s.Discovery
	add := func(field, text string) { wrong = append(wrong, bad("Discovery."+field, errors.New(text))) }
	for _, name := range c.SeedNames {
		if err := settings.CheckName(name); err != nil {
			add("SeedNames", err.Error())
		}
	}
	if s.DHT == nil && len(c.SeedNames) > 0 {
		add("SeedNames", "a node with NoDHT does not look for others; leave one of them out")
	}
	if s.DHT == nil && c.Minimise {
		add("Minimise", "a node with NoDHT has no neighbours; leave one of them out")
	}
	if s.DHT != nil && c.Minimise && s.Floor == NoFloor {
		add("Minimise", "with this Floor the node connects to nobody by itself, so it has no neighbours to keep; leave one of them out")
	}
	if len(c.SeedNames) > 0 && (c.NoSync || s.Floor == NoFloor) {
		add("SeedNames", "the names are never looked up with Discovery.NoSync, nor with Floor set to NoFloor; leave one of them out")
	}
	if c.Minimise && s.KeepClosest > 0 {
		add("Minimise", "KeepClosest is set as well, and closes other connections; leave one of them out")
	}
	if s.DHT != nil && c.Minimise && s.DHT.Neighbours+c.Random < s.Floor {
		add("Minimise", fmt.Sprintf("DHT.Neighbours and Random together are below Floor (%d): connections would be made and closed again; raise them or lower Floor", s.Floor))
	}
	return wrong
}
