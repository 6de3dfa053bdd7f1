package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// Errors of [Root.Restart] and [Root.StopActor].
var (
	// ErrOnlyStops reports an actor that is never started again: its parent starts another one when one is needed.
	ErrOnlyStops = errors.New("supervisor: the actor is never started again; stop it, and its parent starts another one when one is needed")
	// ErrNeeded reports an actor without which the tree does not work.
	ErrNeeded = errors.New("supervisor: the actor is needed as long as the tree runs; restart it, or stop the tree")
	// ErrTop reports the actor that stands for the whole tree.
	ErrTop = errors.New("supervisor: the actor is the whole tree; restart an actor below it, or stop the tree")
	// ErrActorEnded reports an actor that has ended before it came to what was asked of it.
	ErrActorEnded = errors.New("supervisor: the actor has ended meanwhile")
)

// errByHand is the failure of an actor that is restarted by hand. Nobody is told of it.
var errByHand = errors.New("it is restarted by hand")

// Restart starts the actor at path anew, with its children, when it comes to it among its messages. What it owns is
// closed, and messages that wait stay, as after a failure. It counts as no failure, and the parent's budget of restarts
// is not charged. Restart returns when Started has returned in the new incarnation. The error is [ErrNoActor], [ErrOnlyStops], [ErrTop],
// [ErrActorEnded], or ctx's: then the actor restarts when it comes to it, if it does.
func (r *Root) Restart(ctx context.Context, path string) error {
	c, err := r.child(path)
	switch {
	case err != nil:
		return err
	case c.parent.policy.Action == Temporary:
		return ErrOnlyStops
	}
	done := make(chan error, 1)
	say := func(err error) func() {
		return func() {
			select {
			case done <- err:
			default:
			}
		}
	}
	ended := say(ErrActorEnded)
	again := func() { c.PostUserMessage(&order{run: func(*cell) { say(nil)() }, dropped: ended}) } // the next incarnation comes to it
	if incarnation := c.incarnation.Load(); c.state.Load() == stateBackingOff {
		c.parent.PostUserMessage(&order{run: func(p *cell) { p.restartDue(c, incarnation); again() }, dropped: ended})
	} else {
		c.PostUserMessage(&order{run: func(c *cell) { again(); c.restartByHand() }, dropped: ended})
	}
	return awaited(ctx, done, path)
}

// StopActor stops the actor at path, with its children, whatever waits in its mailbox. It stops actors of which its parent starts
// others when they are needed, and those with an [OnPanic]. Any other is needed as long as the tree runs: [ErrNeeded]. Else the error is
// as of Restart.
func (r *Root) StopActor(ctx context.Context, path string) error {
	c, err := r.child(path)
	switch {
	case err != nil:
		return err
	case c.parent.policy.Action != Temporary && c.onPanic == Supervised:
		return ErrNeeded
	}
	done := make(chan error, 1)
	ended := func() { done <- nil }
	c.parent.PostUserMessage(&order{run: func(p *cell) {
		p.invoker.(actor.Supervisor).StopChildren(c.pid)
		c.PostUserMessage(&order{run: func(*cell) {}, dropped: ended}) // its mailbox drops it when the actor has ended
	}, dropped: ended})
	return awaited(ctx, done, path)
}

// child returns an actor that has a parent in the tree.
func (r *Root) child(path string) (*cell, error) {
	switch c := r.host.lookup(path); {
	case c == nil:
		return nil, ErrNoActor
	case c.parent == nil, c.parent.top:
		return nil, ErrTop
	default:
		return c, nil
	}
}

// awaited waits for what an actor was asked to do.
func awaited(ctx context.Context, done <-chan error, path string) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("supervisor: %s has not come to it: %w", path, ctx.Err())
	}
}

// restartByHand ends the incarnation and has the parent start another one, in the actor's own turn.
func (c *cell) restartByHand() {
	c.leaveCrash(crash{byHand: true})
	c.current.failed = true
	c.current.end()
	c.state.Store(stateSuspended)
	c.suspend(true)
	c.invoker.EscalateFailure(&PanicError{Value: errByHand, Msg: "restart", Path: c.path()}, nil)
}
