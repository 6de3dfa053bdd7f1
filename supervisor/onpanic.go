package supervisor

import (
	"context"
	"log/slog"
	"time"
)

// OnPanic says what a panic does to an actor. All values but zero are for actors
// that run other people's code, such as that of a library's user: messages of
// outsiders then never spend the parent's budget, and every panic is reported to
// [Options.Panicked].
type OnPanic uint8

// What a panic does to an actor. Messages that wait survive a restart; the
// message in hand is discarded in every case.
const (
	// Supervised: a panic on an Attributed message is contained; any other is
	// for the parent's Policy. Use it for actors of your own code.
	Supervised OnPanic = iota
	// RestartOnPanic: a panic on an Attributed message starts a new incarnation
	// at once, PanicRestarts times within PanicWindow, and charges no budget; a
	// further one within PanicWindow is contained. Any other panic is for the
	// parent's Policy.
	RestartOnPanic
	// ContainOnPanic: a panic on any user message is contained. A panic on Started
	// or another system message, after which no incarnation is left, is for the
	// parent's Policy.
	ContainOnPanic
	// StopOnPanic: any panic stops the actor for good; a parent with the policy
	// Isolate receives ChildFailed and no RetryDue, any other parent Terminated.
	StopOnPanic
)

// Limits of [RestartOnPanic]: so many restarts in so long.
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
	GoesOn   Fate = iota // the panic was contained, the incarnation goes on
	Restarts             // a new incarnation starts Panic.After from now
	Stops                // its parent may spawn it again Panic.After from now, or never when that is 0
)

// Panic is one panic of an actor whose Spec.OnPanic is not Supervised.
type Panic struct {
	Path   string
	Source Source // of the message in hand; nil: no outsider chose it
	Err    *PanicError
	Fate   Fate
	After  time.Duration
}

// renewals limits the restarts by RestartOnPanic.
var renewals = Policy{Max: PanicRestarts, Within: PanicWindow}

// crash is a failure on its way to the parent.
type crash struct {
	source Source
	renew  bool // restart at once, without charging the parent's budget
	byHand bool // likewise, and it was no failure
}

// react applies the actor's own OnPanic policy to a panic. It reports whether the
// panic is contained; otherwise it leaves a crash for the parent, which decides.
func (c *cell) react(source Source, hopeless bool, failure *PanicError) (contained bool) {
	if hopeless { // no incarnation to go on with
		c.leaveCrash(crash{source: source})
		return false
	}
	switch {
	case c.onPanic == ContainOnPanic:
	case c.onPanic == RestartOnPanic && source != nil:
		c.mu.Lock()
		t := c.failureRecord()
		_, renew := t.renewals.charge(renewals, c.host.rt.Now(), 0)
		if renew {
			t.crash = crash{source: source, renew: true}
		}
		c.mu.Unlock()
		if renew {
			return false
		}
	default:
		c.leaveCrash(crash{source: source})
		return false
	}
	c.contained.Add(1)
	c.note(failure)
	c.host.panicked(Panic{Path: c.path(), Source: source, Err: failure})
	return true
}

// leaveCrash stores x for the parent.
func (c *cell) leaveCrash(x crash) {
	c.mu.Lock()
	c.failureRecord().crash = x
	c.mu.Unlock()
}

// note keeps the failure as the actor's last one, for Info.
func (c *cell) note(failure *PanicError) {
	c.mu.Lock()
	t := c.failureRecord()
	t.last, t.at = failure, c.host.rt.Now()
	c.mu.Unlock()
}

// decided reports the decision about a child that has failed.
func (c *cell) decided(source Source, cause *PanicError, f Fate, after time.Duration) {
	if c.onPanic != Supervised {
		c.host.panicked(Panic{Path: c.path(), Source: source, Err: cause, Fate: f, After: after})
	}
}

// panicked reports a panic to Options.Panicked, or else to the log, with the stack
// at level debug.
func (h *host) panicked(p Panic) {
	if f := h.options.Panicked; f != nil {
		if r := safely(func() { f(p) }); r != nil {
			h.log.Error("Options.Panicked panicked", "panic", r)
		}
		return
	}
	attrs := []any{labelActor, p.Path, "message", p.Err.Msg, "panic", p.Err.Value, "at", p.Err.Where(), "stack_id", p.Err.StackID(), "then", p.Then()}
	if h.log.Enabled(context.Background(), slog.LevelDebug) {
		attrs = append(attrs, "stack", stackText(p.Err.Stack))
	}
	safely(func() { h.log.Error("actor panicked", attrs...) })
}

// Then returns a few words on the actor's fate, for a log.
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
