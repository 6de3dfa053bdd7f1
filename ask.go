package gamelan

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// askAgain is the pause before an actor is asked again that was not there: it
// comes back when the restart of its parent is over.
const askAgain = 10 * time.Millisecond

// ask asks an actor of the node that has a fixed place, and waits for the
// answer until ctx ends or the node stops. What waits is told about a closing
// node by those who answer for an actor that is gone.
func ask[R any](ctx context.Context, n *Node, pid *actor.PID, msg any) (r R, err error) {
	err = again(ctx, n, func() error {
		r, err = supervisor.Ask[R](ctx, n.trunk.System(), pid, msg)
		return err
	})
	return r, err
}

// again calls f until its error is not that an actor is not there, or the node
// stops.
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
