package connections

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

const (
	// setupWait is how long a dial waits for inbound set-ups of the same peer. A
	// peer that does not finish its set-ups delays only dials of itself.
	setupWait = 2 * time.Second
	// setupLook is how often a dial checks whether the dialer has cancelled it,
	// after the inbound connection has come.
	setupLook = 5 * time.Millisecond
)

// AwaitInbound waits, for at most setupWait, while the peer, whose key is proved, sets up
// a connection to this node. A dial would cross that connection, which the peer may use
// already. A Rust node closes one of two crossing connections at once, with everything on
// it. When the connection has come, AwaitInbound waits until the dialer has learnt of it
// and cancels this dial. AwaitInbound returns the error of wanted: nil unless this dial
// was cancelled.
func (r *Room) AwaitInbound(wanted context.Context, peer identity.NodeID) error {
	ctx, cancel := context.WithTimeout(wanted, setupWait)
	defer cancel()
	r.setups.Wait(ctx, peer)
	for ctx.Err() == nil {
		if _, ok := r.Connections.Get(peer); !ok {
			break
		}
		if err := supervisor.Sleep(ctx, setupLook); err != nil {
			break
		}
	}
	return wanted.Err()
}
