package gamelan

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/actors/discovery"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Join announces this node to the nodes closest to it, which pass the announcement on to
// others. A node does this of its own accord when it is online; see [DiscoveryConfig]. Join
// returns when each of those nodes has the announcement or was given up.
func (d *DHT) Join(ctx context.Context) (dht.Report, error) {
	if !d.Enabled() {
		return dht.Report{}, ErrNoDHT
	}
	r, err := ask[discovery.JoinSent](ctx, d.n, d.n.discovery.Join, discovery.SendJoin{})
	if err = cmp.Or(err, r.Err); err != nil {
		return r.Report, fmt.Errorf("gamelan: join: %w", err)
	}
	return r.Report, nil
}

// Discover searches for the holder of a key until it is in the peer store, and returns its
// record. It asks connected nodes for the peers that they know, and then the network. It
// ends with ctx, and after Config.Discovery.SearchLimit. A peer that is known already is
// returned at once; found peers are not connected.
func (d *DHT) Discover(ctx context.Context, key identity.PublicKey) (peerstore.Peer, error) {
	if !d.Enabled() {
		return peerstore.Peer{}, ErrNoDHT
	}
	until := d.n.trunk.Now().Add(d.n.discovery.Settings.Search)
	if at, ok := ctx.Deadline(); ok {
		until = d.n.trunk.Now().Add(min(d.n.discovery.Settings.Search, time.Until(at)))
	}
	r, err := ask[actors.PeerDiscovered](ctx, d.n, d.n.discovery.Search, actors.DiscoverPeer{Key: key, Until: until})
	if err = cmp.Or(err, r.Err); err != nil {
		return peerstore.Peer{}, fmt.Errorf("gamelan: search for %s: %w", key, err)
	}
	if p, ok := d.n.trunk.PeerStore().View().ByKey(key); ok {
		return p, nil
	}
	if ref, ok := d.n.trunk.Connection(key.NodeID()); ok { // the store has no room for the peer
		return peerstore.Peer{ID: ref.Peer, Key: ref.Key, Features: ref.Features, UserAgent: ref.UserAgent, Protocols: ref.Protocols}, nil
	}
	return peerstore.Peer{}, fmt.Errorf("gamelan: search for %s: %w", key, actors.ErrNotDiscovered)
}

// Sync asks connected nodes and seeds now for the peers that they know, and returns what
// each of them gave. A node does this of its own accord; see [DiscoveryConfig].
func (d *DHT) Sync(ctx context.Context) (Synced, error) {
	if !d.Enabled() {
		return Synced{}, ErrNoDHT
	}
	r, err := ask[discovery.Synced](ctx, d.n, d.n.discovery.Netsync, discovery.SyncNow{})
	if err = cmp.Or(err, r.Err); err != nil {
		return r, fmt.Errorf("gamelan: ask for peers: %w", err)
	}
	return r, nil
}

// Network returns how well the node has found its network: its seeds, its rounds of
// exchanging peers, and the nodes that it wants to be connected to.
func (d *DHT) Network() models.Network {
	return nodeview.Section[models.Network](context.Background(), d.n.view, "network")
}
