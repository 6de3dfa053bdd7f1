package receive

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Caller calls a function with messages. It is what outlives restarts of the actor that does so.
type Caller struct {
	f        func(context.Context, Message) error
	topic    string
	inbox    *inboxpart.Inbox // the messages are those of the inbox; nil: those of backlog
	backlog  Backlog
	draining *actor.PID // waits for Drained
	// turn is full while a task calls f. The task of the next incarnation waits for it: f gets
	// one message at a time, and a message that was not handled comes before those behind it.
	turn chan struct{}

	handled, failed atomic.Uint64
	errs            atomic.Uint64          // of failed: f returned an error
	last            atomic.Pointer[failed] // the last such message
	warned          uint64                 // errs at the last warning
	failingSent     atomic.Bool            // the actor was sent failing, and has not waited quietAfter since
}

// NewCaller returns a Caller of f with messages that have the topic, or none. With an inbox the messages are those that it keeps.
func NewCaller(f func(context.Context, Message) error, in *inboxpart.Inbox, topic string) *Caller {
	return &Caller{f: f, inbox: in, topic: topic, turn: make(chan struct{}, 1)}
}

// NewActor returns an incarnation of the actor that calls the function.
func (a *Caller) NewActor() actor.Actor { return &caller{Caller: a} }

// Discard gives back the credit of the messages that wait, and counts them as lost.
func (a *Caller) Discard() { a.backlog.discard() }

// failed is a message for which f has returned an error.
type failed struct {
	m   Message // without its body
	err error
}

// caller calls the user's function with messages, in a task.
//
// In: Received, Drain. Out: Drained. A restart cancels the context of the call that goes
// on, and loses nothing else.
type caller struct {
	*Caller
	running bool
	stop    func()            // ends the listening of the task
	quiet   *supervisor.Timer // runs between two warnings
}

type (
	// crashed says that f has panicked. The caller panics in its turn, so that its
	// policy decides.
	crashed struct {
		err    *supervisor.PanicError
		source supervisor.Source
	}
	// carryOn follows crashed. It reaches the caller only if the panic was contained.
	carryOn struct{ resume func() }
	// failing says that f has returned an error.
	failing struct{}
	// quiet ends the time without further warnings.
	quiet struct{}
	// startTick starts the task again.
	startTick struct{}
)

// Source attributes the panic to the peer whose message it was.
func (m crashed) Source() supervisor.Source { return m.source }

const (
	// quietAfter is the least time between two warnings about errors of f.
	quietAfter = time.Minute
	// againAfter is the pause after an inbox that could not be read.
	againAfter = 5 * time.Second
)

func (a *caller) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		if a.failingSent.Load() { // the timers ended with the last incarnation
			a.quiet = supervisor.After(c, quietAfter, quiet{})
		}
		a.start(c)
	case actors.Received:
		a.backlog.put(plain(m))
	case supervisor.TaskDone:
		a.done(c, m.Err)
	case startTick:
		a.start(c)
	case crashed:
		panic(m.err)
	case carryOn:
		m.resume()
	case failing:
		if a.quiet == nil { // otherwise the timer's end warns
			a.warn(c)
		}
	case quiet:
		a.quiet = nil
		if a.failingSent.Store(false); a.errs.Load() != a.warned {
			a.failingSent.Store(true)
			a.warn(c)
		}
	case supervisor.Drain:
		a.draining = c.Sender()
		a.start(c)
		a.finish(c)
	default:
		supervisor.Unhandled(c)
	}
}

// start starts the task that calls f, unless the task runs.
func (a *caller) start(c actor.Context) {
	if a.running {
		return
	}
	a.running = true
	listen, stop := context.WithCancel(context.Background())
	a.stop = stop
	if a.draining != nil && a.inbox != nil {
		stop()
	}
	log := supervisor.Log(c)
	supervisor.Go(c, "messages", nil, func(ctx context.Context) error {
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		select {
		case a.turn <- struct{}{}:
			defer func() { <-a.turn }()
		case <-listen.Done():
			return nil
		}
		call := func(m Message) (handled, goOn bool) { return a.call(ctx, log, m) }
		if a.inbox != nil {
			return EachKept(ctx, listen, a.inbox, a.topic, call)
		}
		a.backlog.Each(ctx, call)
		return nil
	})
}

// finish answers Drain. With an inbox, which keeps the other messages, the task ends after the
// one in hand. Otherwise the messages that wait are handled first, and then the task goes on:
// the connections still receive messages, and confirm them, until they end.
func (a *caller) finish(c actor.Context) {
	if a.inbox != nil {
		a.stop()
		return
	}
	root, to, self := c.ActorSystem().Root, a.draining, c.Self()
	a.backlog.after(func() { root.Send(to, supervisor.Drained{From: self}) })
}

// done handles the end of the task.
func (a *caller) done(c actor.Context, err error) {
	a.running = false
	if a.draining != nil && a.inbox != nil {
		c.Send(a.draining, supervisor.Drained{From: c.Self()})
		return
	}
	if err == nil {
		a.start(c)
		return
	}
	supervisor.Log(c).Warn("no messages for the function of WithMessages; it is tried again", "err", err)
	supervisor.After(c, againAfter, startTick{})
}

// call calls f, on the task's goroutine. After a panic it waits for the actor's policy.
func (a *Caller) call(ctx context.Context, log *slog.Logger, m Message) (handled, goOn bool) {
	crash, err := a.try(ctx, m)
	switch {
	case crash != nil:
		a.failed.Add(1)
		resumed := make(chan struct{})
		supervisor.Tell(ctx, crashed{crash, m.source()})
		supervisor.Tell(ctx, carryOn{func() { close(resumed) }})
		select {
		case <-resumed:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // also if both have happened: the next incarnation has its own task
			a.inbox.Decline(m.listener, m.Seq)
			return false, false
		}
		return false, true
	case err != nil:
		a.failed.Add(1)
		a.errs.Add(1)
		a.last.Store(&failed{Message{Peer: m.Peer, Seq: m.Seq, DHT: m.DHT, Attempt: m.Attempt, Topic: m.Topic}, err})
		log.Debug("the function for messages returned an error", "peer", m.Peer, "err", err)
		if !a.failingSent.Swap(true) {
			supervisor.Tell(ctx, failing{})
		}
		return false, true
	}
	a.handled.Add(1)
	return true, true
}

// try calls f and turns its panic into a PanicError with the stack of the panic.
func (a *Caller) try(ctx context.Context, m Message) (crash *supervisor.PanicError, err error) {
	returned := false
	defer func() {
		if r := recover(); r != nil {
			crash = &supervisor.PanicError{Value: r, Stack: debug.Stack(), Msg: "gamelan.Message"}
		} else if !returned { // runtime.Goexit
			a.failed.Add(1)
		}
	}()
	err = a.f(ctx, m)
	returned = true
	return nil, err
}

// warn logs the errors of f since the last warning.
func (a *caller) warn(c actor.Context) {
	total := a.errs.Load()
	if last := a.last.Load(); last != nil {
		attrs := []any{"n", total - a.warned, "err", last.err, "peer", last.m.Peer}
		if last.m.DHT != nil {
			attrs = append(attrs, "tag", last.m.DHT.Tag)
		}
		if last.m.Seq > 0 {
			attrs = append(attrs, "seq", last.m.Seq, "attempt", last.m.Attempt)
		}
		if last.m.Topic != "" {
			attrs = append(attrs, "topic", last.m.Topic)
		}
		supervisor.Log(c).Warn("the function for messages returns errors", attrs...)
	}
	a.warned = total
	a.quiet = supervisor.After(c, quietAfter, quiet{})
}

// String is the actor's line in the tree.
func (a *Caller) String() string {
	s := inspect.Count(a.handled.Load(), "message") + " handled"
	if n := a.failed.Load(); n > 0 {
		s += fmt.Sprintf(", %s failed", inspect.Number(n))
	}
	if n := a.backlog.len(); n > 0 {
		s += fmt.Sprintf(", %d waiting", n)
	}
	if last := a.last.Load(); last != nil {
		s += fmt.Sprintf(", last error: %v", last.err)
	}
	return s
}
