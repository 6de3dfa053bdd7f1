package gamelan

import (
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/actors/discovery"
	safpart "github.com/gamelan-p2p/gamelan/actors/saf"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// dhtSettings returns the settings of the DHT.
func (b *builder) dhtSettings() dhtpart.Settings {
	c := b.DHT
	return dhtpart.Settings{
		DB:     b.db,
		Shards: c.Shards, Occurrences: c.Occurrences, SendPace: c.SendPace, FloodLimit: c.FloodLimit, RelayBytes: c.RelayBytes,
		Broadcast: c.Broadcast, Propagation: c.Propagation, Neighbours: c.Neighbours, NoForwarding: c.NoForwarding,
		Dedup: b.dedup, Unreached: dht.NewUnreached(), Layers: b.layers, SendLayers: b.sendLayers,
	}
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
		Seeds: b.SeedPeers, SeedNames: c.SeedNames, Resolver: b.resolver(),
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

// storeForwardSettings returns the settings of the part saf.
func (b *builder) storeForwardSettings(n *Node) safpart.Settings {
	c := &b.StoreForward
	s := safpart.Settings{
		NoStore: c.NoStore, NoRequests: c.NoRequests, SinceLast: c.SinceLast, Limits: c.Limits,
		Neighbours: b.DHT.Neighbours, DB: b.db, Dedup: b.dedup, Host: n.host(),
	}
	if b.Discovery.Minimise {
		s.Minimise = b.DHT.Neighbours + b.Discovery.Random
	}
	return s
}
