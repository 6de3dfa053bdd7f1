package actors

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

const (
	// setupWait is how long a dial waits for inbound set-ups of the same peer. A
	// peer that does not finish its own can delay only our dials of itself.
	setupWait = 2 * time.Second
	// setupLook is how often a dial looks whether it was cancelled for the
	// connection that it has waited for.
	setupLook = 5 * time.Millisecond
)

// awaitInbound waits while the peer, whose key is proved, sets up a connection to
// this node, for at most setupWait. A dial of ours would cross that connection,
// which the peer may use already, and of two that cross a Rust node closes one at
// once, with what is on it. When there is a connection then, it waits for the
// dialer to hear of it, which cancels this dial. The error is that of the
// cancelled dial.
func (e *env) awaitInbound(wanted context.Context, peer identity.NodeID) error {
	ctx, cancel := context.WithTimeout(wanted, setupWait)
	defer cancel()
	e.setups.Wait(ctx, peer)
	for ctx.Err() == nil {
		if _, ok := e.Connections.Get(peer); !ok {
			break
		}
		if err := supervisor.Sleep(ctx, setupLook); err != nil {
			break
		}
	}
	return wanted.Err()
}
