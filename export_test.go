package gamelan

import (
	"context"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// WrapStore has a running node close another store than its own, before
// anything else is asked of it.
func WrapStore(n *Node, wrap func(kv.DB) kv.DB) { n.e.DB = wrap(n.e.DB) }

// SendLost waits, as Send does, for the outcome of a message that is never settled.
func SendLost(ctx context.Context, n *Node) Outcome {
	return n.waits.wait(ctx, n.waits.get(), n.ID(), 0)
}
