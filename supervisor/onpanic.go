package supervisor

import (
	"context"
	"log/slog"
	"time"
)

// OnPanic says what a panic does to an actor. All but the zero value are for
// actors that run other people's code, such as that of a library's user:
// messages of outsiders can then neither stop such an actor nor spend its
// parent's budget, and every panic of it is told to [Options.Panicked].
type OnPanic uint8

// What a panic does to an actor. Messages that wait survive a restart; the
// message in hand is discarded in every case.
const (
	// Supervised: a panic on an Attributed message is contained, any other is
	// for the parent's Policy. For actors of one's own code.
	Supervised OnPanic = iota
	// RestartOnPanic: a panic on an Attributed message starts a new incarnation
	// at once, PanicRestarts times within PanicWindow, and charges no budget; a
	// further one within PanicWindow is contained. Any other panic is for the
	// parent's Policy.
	RestartOnPanic
	// ContainOnPanic: the same incarnation goes on, whoever chose the message.
	// A panic on Started or another message of the system, after which there is
	// no incarnation to go on with, is for the parent's Policy.
	ContainOnPanic
	// StopOnPanic: any panic stops the actor for good; a parent with the policy
	// Isolate hears ChildFailed and no RetryDue, any other one Terminated.
	StopOnPanic
)

// Panics on messages of outsiders restart an actor with [RestartOnPanic] so often.
const (
	PanicRestarts = 5
	PanicWindow   = time.Minute
)

// String returns supervised, restart, contain or stop.
func (o OnPanic) String() string {
	switch o {
	case Supervised:
		return "supervised"
	case RestartOnPanic:
		return "restart"
	case ContainOnPanic:
		return "contain"
	case StopOnPanic:
		return "stop"
	}
	return "unknown"
}

// Fate is what became of an actor that panicked.
type Fate uint8

// The fates of an actor.
const (
	GoesOn   Fate = iota // with the same incarnation: the panic was contained
	Restarts             // with a new incarnation, Panic.After from now
	Stops                // its parent may spawn it again Panic.After from now, or never when that is 0
)

// Panic is one panic of an actor whose Spec.OnPanic is not Supervised.
type Panic struct {
	Path   string
	Source any // of the message in hand; nil: no outsider chose it
	Err    *PanicError
	Fate   Fate
	After  time.Duration
}

// renewals is how often panics on messages of outsiders may restart an actor.
var renewals = Policy{Max: PanicRestarts, Within: PanicWindow}

// crash is a failure on its way to the parent.
type crash struct {
	source any
	renew  bool // restart at once, without charging the parent's budget
}

// react decides what a panic does to an actor with a policy of its own. It
// reports whether the panic was dealt with; otherwise the parent decides, who
// reads the crash.
func (c *cell) react(source any, hopeless bool, failure *PanicError) (contained bool) {
	if hopeless { // no incarnation to go on with
		c.crashes(crash{source: source})
		return false
	}
	switch {
	case c.onPanic == ContainOnPanic:
	case c.onPanic == RestartOnPanic && source != nil:
		c.mu.Lock()
		t := c.troubled()
		_, renew := t.renewals.charge(renewals, c.host.rt.Now(), 0)
		if renew {
			t.crash = crash{source, true}
		}
		c.mu.Unlock()
		if renew {
			return false
		}
	default:
		c.crashes(crash{source: source})
		return false
	}
	c.contained.Add(1)
	c.note(failure)
	c.host.panicked(Panic{Path: c.path(), Source: source, Err: failure})
	return true
}

// crashes leaves word for the parent.
func (c *cell) crashes(x crash) {
	c.mu.Lock()
	c.troubled().crash = x
	c.mu.Unlock()
}

// note keeps the last failure for whoever looks.
func (c *cell) note(failure *PanicError) {
	c.mu.Lock()
	t := c.troubled()
	t.last, t.at = failure, c.host.rt.Now()
	c.mu.Unlock()
}

// decided tells what became of a child that has failed.
func (c *cell) decided(source any, cause *PanicError, f Fate, after time.Duration) {
	if c.onPanic != Supervised {
		c.host.panicked(Panic{Path: c.path(), Source: source, Err: cause, Fate: f, After: after})
	}
}

// panicked tells of a panic once: to Options.Panicked, or to the log, with the
// stack at debug.
func (h *host) panicked(p Panic) {
	if f := h.options.Panicked; f != nil {
		if r := safely(func() { f(p) }); r != nil {
			h.log.Error("Options.Panicked panicked", "panic", r)
		}
		return
	}
	attrs := []any{labelActor, p.Path, "message", p.Err.Msg, "panic", p.Err.Value, "then", p.Then()}
	if h.log.Enabled(context.Background(), slog.LevelDebug) {
		attrs = append(attrs, "stack", stackText(p.Err.Stack))
	}
	safely(func() { h.log.Error("actor panicked", attrs...) })
}

// Then says in a few words what becomes of the actor.
func (p Panic) Then() string {
	switch {
	case p.Fate == GoesOn:
		return "it goes on without that message"
	case p.Fate == Restarts && p.After > 0:
		return "it restarts in " + p.After.Round(time.Millisecond).String()
	case p.Fate == Restarts:
		return "it restarts"
	case p.After > 0:
		return "it has stopped, and is tried again in " + p.After.String()
	}
	return "it has stopped for good"
}
