package supervisor

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"

	"github.com/asynkron/protoactor-go/actor"
)

// wrapper is one incarnation of an actor. It is the actor that protoactor runs.
// protoactor makes it without a cell; Started links it to its cell, because only
// then all children of the last incarnation have stopped.
type wrapper struct {
	host   *host
	cell   *cell // nil until linked
	inner  actor.Actor
	gen    uint64
	over   bool // no more tasks, timers, subscriptions
	failed bool // over because of a panic: the user's actor gets no more messages
	closed bool // everything it owned is closed
	byHand bool // the Terminated in hand is of a child that was stopped by hand

	timers *timer // list, guarded by cell.mu
	owned  *ownedCloser
	extras *extras // nil until one of them is used
}

// extras are the fields of an incarnation that few actors use.
type extras struct {
	random *Random
	log    *slog.Logger
	retry  map[string]bool // failed children whose RetryDue waits for their end
}

func (w *wrapper) extra() *extras {
	if w.extras == nil {
		w.extras = new(extras)
	}
	return w.extras
}

// of finds the wrapper behind a context.
func of(c actor.Context) *wrapper {
	w, ok := c.Actor().(*wrapper)
	if !ok {
		panic(fmt.Sprintf("supervisor: %s was not spawned by supervisor.Spawn; spawn it that way to use this function", c.Self().GetId()))
	}
	return w
}

// Spawned reports whether c's actor was made by [Spawn], which most functions
// of this package demand.
func Spawned(c actor.Context) bool {
	_, ok := c.Actor().(*wrapper)
	return ok
}

// Receive passes user messages on and handles those of the lifecycle.
func (w *wrapper) Receive(ctx actor.Context) {
	if w.cell != nil && !w.cell.inSystem {
		w.deliver(ctx)
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		w.start(ctx)
	case *actor.Restarting:
		w.end()
		w.deliverRecovering(ctx)
	case *actor.Stopping:
		w.deliverRecovering(ctx)
		w.end()
		w.cell.unsubscribe(0) // ends the subscriptions of a failed actor
	case *actor.Stopped:
		w.deliverRecovering(ctx)
		w.end()
		w.release()
		w.cell.unsubscribe(0)
		w.cell.stopped()
	case *actor.Terminated:
		retry, byHand := w.cell.childGone(m.Who)
		w.byHand = byHand
		switch {
		case w.failed:
			return
		case w.over:
			w.deliverRecovering(ctx)
		default:
			w.deliver(ctx)
		}
		w.byHand = false
		if retry {
			w.cell.post(w.gen, RetryDue{Name: nameOf(m.Who.Id)})
		}
	default:
		if !w.over {
			w.deliver(ctx)
		}
	}
}

// deliver gives the message in hand to the user's actor.
func (w *wrapper) deliver(ctx actor.Context) {
	if fault := w.host.options.Fault; fault != nil {
		fault(w.cell.path(), typeName(ctx.Message()))
	}
	w.inner.Receive(ctx)
}

// start begins the incarnation.
func (w *wrapper) start(ctx actor.Context) {
	c := w.cell
	if c == nil { // a restart
		c = w.host.lookup(ctx.Self().Id)
		w.cell = c
		c.current.end()
		c.current.release()
		c.current = w
		c.restarts.Add(1)
	}
	c.state.Store(stateStarting)
	w.gen = generations.Add(1)
	c.incarnation.Add(1)
	c.gen.Store(w.gen)
	w.inner = c.make()
	if w.inner == nil {
		panic(fmt.Sprintf("supervisor: Spec.New of %s returned nil", c.path()))
	}
	if _, ok := w.inner.(*group); ok {
		c.drains = true
	}
	c.mu.Lock()
	c.goType = reflect.TypeOf(w.inner)
	c.mu.Unlock()
	w.deliver(ctx)
	if c.incarnation.Load() > 1 {
		c.dropKept()
	}
	c.unsubscribe(w.gen) // ends the subscriptions that this incarnation did not renew
	c.logMissed()
	c.state.CompareAndSwap(stateStarting, stateRunning)
	c.noteStarted()
	c.startedByHand()
}

// deliverRecovering delivers a lifecycle message and recovers a panic of it, which would
// make protoactor restart a stopping actor, or leave it half stopped.
func (w *wrapper) deliverRecovering(ctx actor.Context) {
	if w.inner == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			failure := newPanicError(w.cell.path(), ctx.Message(), r)
			if c := w.cell; c.onPanic != Supervised {
				c.note(failure)
				fate := Stops
				if _, again := ctx.Message().(*actor.Restarting); again {
					fate = Restarts
				}
				c.host.panicked(Panic{Path: c.path(), Err: failure, Fate: fate})
			} else {
				c.noteFailure(failure, "panic while ending")
			}
		}
	}()
	w.inner.Receive(ctx)
}

// end stops everything that works for this incarnation. It is idempotent.
func (w *wrapper) end() {
	if w.over {
		return
	}
	w.over = true
	c := w.cell
	c.gen.Store(0)
	if !w.failed {
		c.unsubscribe(0)
	}
	c.mu.Lock()
	timers := w.timers
	w.timers = nil
	for t := timers; t != nil; t = t.next {
		t.linked = false
		c.timers--
	}
	var tasks []*task
	for _, t := range c.tasks {
		if t.gen == w.gen {
			tasks = append(tasks, t)
		}
	}
	c.mu.Unlock()
	for timers != nil {
		t := timers
		timers = t.next
		t.prev, t.next = nil, nil
		t.halt()
	}
	for _, t := range tasks {
		t.end()
	}
	c.host.forgetFailed(c)
}

// release closes everything that the incarnation owned, last first. It is
// idempotent.
func (w *wrapper) release() {
	if w.closed {
		return
	}
	w.closed = true
	for w.owned != nil {
		p := w.owned
		p.unlink()
		closeSafely(p.closer)
	}
}

// ownedCloser is an element of the list of closers that an incarnation owns.
type ownedCloser struct {
	w          *wrapper
	closer     io.Closer
	prev, next *ownedCloser
	linked     bool
}

func (p *ownedCloser) unlink() {
	if !p.linked {
		return
	}
	p.linked = false
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		p.w.owned = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
}

// Own gives closer to this incarnation and returns a function that takes it back
// unclosed. However the incarnation ends, it closes its closers exactly once, the
// last given first, after its children have stopped. Close must not block. When the
// incarnation has ended already, Own closes closer at once.
func Own(c actor.Context, closer io.Closer) (takeBack func()) { return of(c).own(closer) }

func (w *wrapper) own(closer io.Closer) func() {
	if w.closed {
		closeSafely(closer)
		return func() {}
	}
	p := &ownedCloser{w: w, closer: closer, next: w.owned, linked: true}
	if w.owned != nil {
		w.owned.prev = p
	}
	w.owned = p
	return p.unlink
}

// OwnFunc is [Own] for a function, which must not block.
func OwnFunc(c actor.Context, f func()) (takeBack func()) { return Own(c, closerFunc(f)) }

type closerFunc func()

func (f closerFunc) Close() error {
	f()
	return nil
}

// Log returns the actor's logger: that of the root, with the attribute "actor", which is the
// actor's path in the tree.
func Log(c actor.Context) *slog.Logger {
	w := of(c)
	x := w.extra()
	if x.log == nil {
		x.log = w.cell.host.log.With(labelActor, w.cell.path())
	}
	return x.log
}

// Unhandled is for the default case of every Receive. It ignores lifecycle
// messages, counts and discards all others, and ends an [Ask] with ErrUnhandled.
func Unhandled(c actor.Context) {
	w := of(c)
	msg := c.Message()
	switch msg.(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, *actor.ReceiveTimeout:
		return
	}
	w.cell.unhandled.Add(1)
	discard(msg)
	if to := c.Sender(); to != nil {
		refuse(w.host.sys, to, fmt.Errorf("%w: %s got %s", ErrUnhandled, w.cell.path(), typeName(msg)))
	}
}

// Rand returns this incarnation's randomness: the system's, or, under a Seeded,
// that derived from the seed, the actor's path and the incarnation.
func Rand(c actor.Context) *Random { return of(c).random() }

func (w *wrapper) random() *Random {
	x := w.extra()
	if x.random == nil {
		x.random = w.cell.host.rt.Random(w.cell.path(), uint64(w.cell.incarnation.Load()))
	}
	return x.random
}
