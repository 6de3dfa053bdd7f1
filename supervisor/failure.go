package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// PanicError is a panic of an actor or a task. Value is the argument of panic;
// errors.Is and errors.As find it when it is an error.
type PanicError struct {
	Value any
	Stack []byte
	Msg   string // type of the message in hand; for a task, its name
	Path  string // of the actor
}

// maxStack bounds the stack that a PanicError keeps, in bytes.
const maxStack = 16 << 10

// Error names the actor, the message in hand, the place in the code and the value, without
// the stack.
func (e *PanicError) Error() string {
	at := e.Where()
	if at != "" {
		at = " at " + at
	}
	return fmt.Sprintf("supervisor: %s panicked on %s%s: %v", e.Path, e.Msg, at, e.Value)
}

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errGoexit stands for runtime.Goexit inside an actor or a task.
var errGoexit = errors.New("runtime.Goexit was called; return from the function instead")

// newPanicError is called in the deferred function that recovered value. msg is
// the message in hand, or a string that names its type or the task.
func newPanicError(path string, msg, value any) *PanicError {
	if p, ok := value.(*PanicError); ok { // of a task that has recovered it
		return &PanicError{Value: p.Value, Stack: p.Stack, Msg: p.Msg, Path: path}
	}
	if value == nil {
		value = errGoexit
	}
	name, ok := msg.(string)
	if !ok {
		name = typeName(msg)
	}
	buf := stackBuffers.Get().(*[maxStack]byte)
	stack := append([]byte(nil), buf[:runtime.Stack(buf[:], false)]...)
	stackBuffers.Put(buf)
	return &PanicError{Value: value, Stack: stack, Msg: name, Path: path}
}

// stackBuffers holds buffers of the greatest size, so that runtime.Stack walks the
// stack once. debug.Stack walks it again for every size it tries.
var stackBuffers = sync.Pool{New: func() any { return new([maxStack]byte) }}

// stackText is converted only when a handler wants it.
type stackText []byte

// LogValue implements [slog.LogValuer].
func (s stackText) LogValue() slog.Value { return slog.StringValue(string(s)) }

// placeText and stackIDText read the stack only when a handler wants it.
type (
	placeText   struct{ *PanicError }
	stackIDText struct{ *PanicError }
)

// LogValue implements [slog.LogValuer].
func (t placeText) LogValue() slog.Value { return slog.StringValue(t.Where()) }

// LogValue implements [slog.LogValuer].
func (t stackIDText) LogValue() slog.Value { return slog.StringValue(t.StackID()) }

// crashed handles a panic that the turn recovered. It reports whether the turn
// continues on this goroutine; after runtime.Goexit it continues on another.
func (c *cell) crashed(b *batch, value any) (again bool) {
	msg, inSystem := b.current, c.inSystem
	b.current, c.inSystem = nil, false
	failure := newPanicError(c.path(), typeName(unwrap(msg)), value)
	body := unwrap(msg)
	if t := c.trace.Load(); t != nil {
		t.end(c, true)
	}
	hopeless := inSystem || c.current.over
	var source Source
	if !hopeless {
		source = sourceOf(body)
	}
	switch {
	case c.onPanic != Supervised:
		if !c.react(source, hopeless, failure) {
			c.fail(failure)
		}
	case source != nil:
		c.contain(source, failure)
	default:
		c.fail(failure)
	}
	discard(body)
	if e, ok := msg.(*actor.MessageEnvelope); ok && e.Sender != nil {
		refuse(c.host.sys, e.Sender, fmt.Errorf("%w: %w", ErrFailed, failure))
	}
	if value == nil {
		c.host.dispatch.Schedule(c.activate)
		return false
	}
	return true
}

// contain counts and reports a panic that an outsider triggered; the incarnation
// goes on.
func (c *cell) contain(source Source, failure *PanicError) {
	c.contained.Add(1)
	c.note(failure)
	if o, ok := source.(Offender); ok {
		if p := safely(o.Panicked); p != nil {
			c.host.log.Error("Offender.Panicked panicked", "panic", p)
		}
	}
	f := c.host.options.Contained
	if f == nil {
		safely(func() {
			c.host.log.Warn("panic contained", labelActor, c.path(), "source", source, "message", failure.Msg, "panic", failure.Value, "at", placeText{failure}, "stack_id", stackIDText{failure}, "stack", stackText(failure.Stack))
		})
	} else {
		if p := safely(func() { f(source, c.path(), failure) }); p != nil {
			c.host.log.Error("Options.Contained panicked", "panic", p)
		}
	}
}

// fail ends the incarnation and lets the parent decide.
func (c *cell) fail(cause *PanicError) {
	if c.onPanic == Supervised {
		c.noteFailure(cause, "actor failed")
		if f := c.host.options.Failed; f != nil {
			if p := safely(func() { f(c.path(), cause) }); p != nil {
				c.host.log.Error("Options.Failed panicked", "panic", p)
			}
		}
	} else {
		c.note(cause) // reported when the parent has decided
	}
	c.noteStarted()
	if c.top {
		return // the trivial parent has nothing that could be restarted
	}
	c.byHand.Store(false)
	c.current.failed = true
	c.current.end()
	c.state.Store(stateSuspended)
	c.suspend(true)
	c.invoker.EscalateFailure(cause, nil)
}

func (c *cell) noteFailure(cause *PanicError, what string) {
	c.note(cause)
	safely(func() {
		c.host.log.Error(what, labelActor, c.path(), "message", cause.Msg, "panic", cause.Value, "at", placeText{cause}, "stack_id", stackIDText{cause}, "stack", stackText(cause.Stack))
	})
}
