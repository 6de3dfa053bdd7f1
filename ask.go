package gamelan

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// askAgain is the pause before a question is repeated to an actor that does not exist. Such
// an actor exists again when the restart of its parent is over.
const askAgain = 10 * time.Millisecond

// ask asks an actor of the node whose path is fixed, and waits for the answer until ctx
// ends or the node stops. A question that waits when its actor stops fails with
// supervisor.ErrNoActor, so no question outlives a closing node.
func ask[R any](ctx context.Context, n *Node, pid *actor.PID, msg any) (r R, err error) {
	err = again(ctx, n, func() error {
		r, err = supervisor.Ask[R](ctx, n.trunk.System(), pid, msg)
		return err
	})
	return r, err
}

// again calls f until f returns nil or an error other than supervisor.ErrNoActor, or the
// node stops.
func again(ctx context.Context, n *Node, f func() error) error {
	for {
		err := f()
		switch {
		case err == nil:
			return nil
		case n.stopping():
			return ErrClosed
		case !errors.Is(err, supervisor.ErrNoActor):
			return err
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	}
}
