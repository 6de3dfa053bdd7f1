package gamelan

import (
	"context"

	safpart "github.com/gamelan-p2p/gamelan/actors/saf"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
)

// ErrNobodyToAsk reports that no connected peer stores messages for others. Connect to one,
// or wait until the node is online.
var ErrNobodyToAsk = saf.ErrNobodyToAsk

// FetchStored asks peers for the messages that they store for this node, and has them
// delivered: the named peers, at most 8, or without names the closest connected ones that
// may store messages. It returns when each of them had nothing new in the end, or was given
// up after five minutes; the result says which. If ctx ends first, the fetch goes on, and
// its messages are delivered all the same.
//
// A node asks of its own accord whenever it connects to such a peer; see
// [StoreForwardConfig]. Messages come to the actors of their types, with
// [dht.Received].Stored set. Each comes once. After a crash of this node a message may come
// again.
func (d *DHT) FetchStored(ctx context.Context, peers ...identity.NodeID) (saf.Fetched, error) {
	r, err := d.n.saf.FetchFrom(ctx, peers...)
	return r, wrap("fetch stored messages", err)
}

// PurgeStored deletes the messages that this node stores for another one. It returns how
// many there were, when they are deleted on the disk.
func (d *DHT) PurgeStored(ctx context.Context, to identity.NodeID) (models.StoreForwardPurged, error) {
	return d.purge(ctx, safpart.Purge{To: to})
}

// PurgeAllStored deletes all messages that this node stores for others.
func (d *DHT) PurgeAllStored(ctx context.Context) (models.StoreForwardPurged, error) {
	return d.purge(ctx, safpart.Purge{All: true})
}

func (d *DHT) purge(ctx context.Context, m safpart.Purge) (models.StoreForwardPurged, error) {
	p, err := d.n.saf.Delete(ctx, m)
	return p, wrap("purge stored messages", err)
}

// StoreForward returns what the node stores for others, and what it asked others for.
func (d *DHT) StoreForward(ctx context.Context) models.StoreForward {
	return nodeview.Section[models.StoreForward](ctx, d.n.view, "saf")
}
