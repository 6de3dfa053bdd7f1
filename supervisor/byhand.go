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
	// ErrStaysFailed reports an actor that has failed, and that its parent does not start again.
	ErrStaysFailed = errors.New("supervisor: the actor has failed, and its parent does not start it again")
	// ErrStopped reports an actor that does not run, because it has failed too often. Restart starts it again.
	ErrStopped = errors.New("supervisor: the actor has failed and does not run")
)

// errByHand is the failure of an actor that is restarted by hand. Nobody is told of it.
var errByHand = errors.New("it is restarted by hand")

// Restart starts the actor at path anew, with its children, after the message that it has in hand. What it owns is
// closed, and messages that wait stay, as after a failure. It counts as no failure, and the parent's budget of restarts
// is not charged. One that Isolate has stopped is spawned again by its parent, which hears RetryDue now. Restart returns when
// Started has returned in the new incarnation. The error is [ErrNoActor], [ErrOnlyStops], [ErrTop], [ErrActorEnded],
// [ErrStaysFailed], or ctx's: then the actor restarts when the message in hand has ended, and [Options].ByHand tells of it.
func (r *Root) Restart(ctx context.Context, path string) error {
	c, err := r.child(path)
	if err == nil && c.parent.policy.Action == Temporary {
		err = ErrOnlyStops
	}
	if err != nil && !errors.Is(err, ErrNoActor) {
		return err
	}
	done, answer := onlyAnswer()
	if err == nil {
		c.PostSystemMessage(&order{run: func(c *cell) { c.restartByHand(answer) }, dropped: func() { answer(ErrActorEnded) }})
	} else if !r.host.retryByHand(path, answer) {
		return err
	}
	return awaited(ctx, done, path)
}

// StopActor stops the actor at path, with its children, whatever waits in its mailbox. It stops actors of which its parent starts
// others when they are needed, and those with an [OnPanic]. Any other is needed as long as the tree runs: [ErrNeeded]. Else the error is
// as of Restart. One that Isolate has stopped does not run: [ErrStopped].
func (r *Root) StopActor(ctx context.Context, path string) error {
	c, err := r.child(path)
	switch {
	case errors.Is(err, ErrNoActor) && r.host.isFailed(path):
		return ErrStopped
	case err != nil:
		return err
	case c.parent.policy.Action != Temporary && c.onPanic == Supervised:
		return ErrNeeded
	}
	done, answer := onlyAnswer()
	ended := func() { answer(nil) }
	c.PostSystemMessage(&order{run: func(c *cell) {
		c.hands().ends = append(c.hands().ends, ended)
		c.invoker.(actor.Supervisor).StopChildren(c.pid)
	}, dropped: ended})
	return awaited(ctx, done, path)
}

// StoppedByHand reports whether the Terminated in hand is that of a child that [Root.StopActor] has stopped. It is no failure of the child.
func StoppedByHand(c actor.Context) bool { return of(c).byHand }

// RestartedByHand reports whether c's actor runs again because [Root.Restart] has restarted it, or the actor above it with which it was
// started anew. It is false in an actor that has failed since.
func RestartedByHand(c actor.Context) bool {
	for x := of(c).cell; x != nil; x = x.parent {
		if x.incarnation.Load() > 1 {
			return x.byHand.Load()
		}
	}
	return false
}

// child returns an actor that has a parent in the tree.
func (r *Root) child(path string) (*cell, error) {
	switch c := r.host.lookup(path); {
	case c == nil || c.state.Load() == stateGone:
		return nil, ErrNoActor
	case c.parent == nil, c.parent.top:
		return nil, ErrTop
	default:
		return c, nil
	}
}

// onlyAnswer returns a function whose first call is the answer.
func onlyAnswer() (done <-chan error, answer func(error)) {
	answers := make(chan error, 1)
	return answers, func(err error) {
		select {
		case answers <- err:
		default:
		}
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

// hands are those who wait for what they asked of an actor. The turn owns them, and the parent when it has heard of the end.
type hands struct {
	starts  []func(error) // for its next start
	ends    []func()      // for its end
	stopped bool          // it has ended because somebody asked for that
}

func (c *cell) hands() *hands {
	if c.asked == nil {
		c.asked = new(hands)
	}
	return c.asked
}

// restartByHand ends the incarnation and has the parent start another one, in the actor's own turn.
func (c *cell) restartByHand(answer func(error)) {
	c.hands().starts = append(c.hands().starts, answer)
	switch incarnation := c.incarnation.Load(); {
	case incarnation == 0: // its first start is due
	case c.current.over: // it has failed, or ends; a wait for its restart ends
		c.parent.PostSystemMessage(&order{run: func(p *cell) { p.restartDue(c, incarnation) }})
	default:
		c.leaveCrash(crash{byHand: true})
		c.byHand.Store(true)
		c.current.failed = true
		c.current.end()
		c.state.Store(stateSuspended)
		c.suspend(true)
		c.invoker.EscalateFailure(&PanicError{Value: errByHand, Msg: "restart", Path: c.path()}, nil)
	}
}

// startedByHand answers those who wait for a start, in the turn of the actor that has started.
func (c *cell) startedByHand() {
	if c.asked == nil || len(c.asked.starts) == 0 {
		return
	}
	waiting := c.asked.starts
	c.asked.starts = nil
	c.tellByHand(false)
	for _, answer := range waiting {
		answer(nil)
	}
}

// endedByHand answers all who wait, when the actor has ended.
func (c *cell) endedByHand() {
	if c.asked == nil {
		return
	}
	waiting := *c.asked
	c.asked = &hands{stopped: len(waiting.ends) > 0}
	if c.asked.stopped {
		c.tellByHand(true)
	}
	for _, ended := range waiting.ends {
		ended()
	}
	for _, answer := range waiting.starts {
		answer(ErrActorEnded)
	}
}

func (c *cell) tellByHand(stopped bool) {
	if f := c.host.options.ByHand; f != nil {
		if p := safely(func() { f(c.path(), stopped) }); p != nil {
			c.host.log.Error("Options.ByHand panicked", "panic", p)
		}
	}
}

// retryByHand has the parent of an actor that Isolate has stopped spawn it again. It reports false if there is no such actor.
func (h *host) retryByHand(path string, answer func(error)) bool {
	h.mu.RLock()
	info, ok := h.failed[path]
	parent := h.cells[info.Parent]
	h.mu.RUnlock()
	if !ok || parent == nil {
		return false
	}
	parent.PostSystemMessage(&order{run: func(p *cell) {
		if p.current.over || !h.isFailed(path) || h.lookup(path) != nil { // its parent ends, or has spawned it meanwhile, or has still to hear of its end
			answer(ErrActorEnded)
			return
		}
		p.post(p.current.gen, RetryDue{Name: nameOf(path)})
		p.post(p.current.gen, &order{run: func(*cell) {
			child := h.lookup(path)
			if child == nil {
				answer(ErrStaysFailed)
				return
			}
			child.PostSystemMessage(&order{run: func(c *cell) { c.awaitStart(answer) }, dropped: func() { answer(ErrActorEnded) }})
		}, dropped: func() { answer(ErrActorEnded) }})
	}, dropped: func() { answer(ErrActorEnded) }})
	return true
}

// awaitStart answers when the actor has started.
func (c *cell) awaitStart(answer func(error)) {
	c.hands().starts = append(c.hands().starts, answer)
	if c.incarnation.Load() > 0 && !c.current.over && c.state.Load() != stateStarting {
		c.startedByHand()
	}
}
