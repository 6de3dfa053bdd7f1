package gamelan

import (
	"context"
	"time"

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
	r, err := d.n.discovery.Announce(ctx)
	return r, wrap("join", err)
}

// Discover searches for the holder of a key until it is in the peer store, and returns its
// record. It asks connected nodes for the peers that they know, and then the network. It
// ends with ctx, and after Config.Discovery.SearchLimit. A peer that is known already is
// returned at once; found peers are not connected.
func (d *DHT) Discover(ctx context.Context, key identity.PublicKey) (peerstore.Peer, error) {
	limit := time.Duration(1<<63 - 1)
	if at, ok := ctx.Deadline(); ok {
		limit = time.Until(at)
	}
	p, err := d.n.discovery.Find(ctx, key, limit)
	return p, wrap("search for "+key.String(), err)
}

// Sync asks connected nodes and seeds now for the peers that they know, and returns what
// each of them gave. A node does this of its own accord; see [DiscoveryConfig].
func (d *DHT) Sync(ctx context.Context) (Synced, error) {
	r, err := d.n.discovery.Exchange(ctx)
	return r, wrap("ask for peers", err)
}

// Network returns how well the node has found its network: its seeds, its rounds of
// exchanging peers, and the nodes that it wants to be connected to.
func (d *DHT) Network() models.Network {
	return nodeview.Section[models.Network](context.Background(), d.n.view, "network")
}
