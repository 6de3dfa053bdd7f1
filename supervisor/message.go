package supervisor

import (
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TaskDone reports the end of a Go. Err is the result of fn, or a *PanicError when
// fn panicked.
type TaskDone struct {
	Name string
	Err  error
}

// Done reports the end of a Do. Key was given to Do. Value and Err are the results
// of fn; Err is a *PanicError when fn panicked. Done passes Discard and Source on
// to Value and to Key. What must be discarded also after a panic belongs to Key.
type Done[T any] struct {
	Key   any
	Value T
	Err   error
}

// Discard discards the value and the key, when they are Discarders.
func (d Done[T]) Discard() {
	for _, x := range []any{d.Value, d.Key} {
		if v, ok := x.(Discarder); ok {
			v.Discard()
		}
	}
}

// Source is the source of the value or of the key, or nil.
func (d Done[T]) Source() Source {
	for _, x := range []any{d.Value, d.Key} {
		if v, ok := x.(Attributed); ok {
			return v.Source()
		}
	}
	return nil
}

// Discarder is a message that owns something. Discard is called when no actor will
// finish the message: it was left in a mailbox, sent to a dead PID, meant for an
// older incarnation, or in hand during a panic. Discard must be idempotent and
// must not block.
type Discarder interface{ Discard() }

// Finisher is a message that holds something until it is handled, such as a
// credit. Finish is called when Receive has returned. Finish must be idempotent and
// must not block.
type Finisher interface{ Finish() }

// Source names an outsider who chose the content of a message, such as a peer. Outsider does
// nothing: it marks the types that are meant, so that no other value compiles as a Source.
type Source = interface{ Outsider() }

// Attributed is a message whose content an outsider chose; Source names the
// outsider. A panic on it is contained: it is counted, its stack is kept,
// Options.Contained is called, the message is discarded, no budget is charged, and
// the actor goes on. A message whose Source is nil is not attributed.
type Attributed interface{ Source() Source }

// Offender is a Source that wants to know of the panics that are contained because of its
// messages. Panicked is called in the turn of the actor that panicked; it must not block.
type Offender interface{ Panicked() }

// Bundle is several messages in one send. Send a pointer to it: the actor receives
// the elements in order, as if they had been sent one by one, and never the Bundle
// itself. The elements are taken out before the send returns, so the sender may use
// the Bundle again. Only actors made by [Spawn] accept one; elements carry no
// sender.
type Bundle []any

// Discard discards the elements.
func (b *Bundle) Discard() {
	for _, m := range *b {
		discard(m)
	}
}

type (
	// ChildFailed tells a parent that Isolate stopped a child whose budget is
	// spent. Err is a *PanicError.
	ChildFailed struct {
		Name string
		Err  error
	}
	// RetryDue tells a parent that it is time to spawn that child again.
	// It is never sent before the failed child has ended.
	RetryDue struct{ Name string }
	// Drain asks an actor to finish what it accepted until Deadline and then
	// to reply Drained.
	Drain struct{ Deadline time.Time }
	// Drained answers Drain. A reply carries no sender, so From names it.
	Drained struct{ From *actor.PID }
)

// stamped is a message for one incarnation only: the result of a task, a timer's
// message, an order of this package.
type stamped struct {
	gen   uint64
	msg   any
	timer *timer // nil unless a timer sent it
}

// IgnoreDeadLetterLogging keeps stale messages out of protoactor's log.
func (*stamped) IgnoreDeadLetterLogging() {}

// order is work of this package that runs in an actor's own turn. When the actor
// ends before that, dropped, if not nil, is called instead.
type order struct {
	run     func(c *cell)
	dropped func()
}

// IgnoreDeadLetterLogging keeps our own orders out of protoactor's log.
func (*order) IgnoreDeadLetterLogging() {}

// Discard calls dropped: the order will not run.
func (o *order) Discard() {
	if o.dropped != nil {
		o.dropped()
	}
}

// unwrap returns the message that the user's actor would see.
func unwrap(msg any) any {
	if s, ok := msg.(*stamped); ok {
		msg = s.msg
	}
	if e, ok := msg.(*actor.MessageEnvelope); ok {
		return e.Message
	}
	return msg
}

// discard calls Discard of a message that has it. It ignores a panic there: no
// actor is left that could react.
func discard(msg any) {
	if d, ok := unwrap(msg).(Discarder); ok {
		safely(d.Discard)
	}
}

// safely calls f and returns the value of its panic, if any.
func safely(f func()) (panicked any) {
	defer func() { panicked = recover() }()
	f()
	return nil
}

func closeSafely(c io.Closer) {
	safely(func() { _ = c.Close() })
}

// sourceOf returns the source of an attributed message, or nil. It also takes that of a message
// whose method Source has the result any.
func sourceOf(msg any) (source Source) {
	switch a := msg.(type) {
	case Attributed:
		safely(func() { source = a.Source() })
	case interface{ Source() any }:
		safely(func() { source, _ = a.Source().(Source) })
	}
	return source
}

var (
	closerType    = reflect.TypeFor[io.Closer]()
	discarderType = reflect.TypeFor[Discarder]()
)

// mustNotLeak panics when a T has to be closed and is no Discarder.
func mustNotLeak[T any]() {
	t := reflect.TypeFor[T]()
	if t.Implements(closerType) && !t.Implements(discarderType) {
		panic(fmt.Sprintf("supervisor: Do[%v]: a result that must be closed would leak when nobody takes it; put it into a Handover", t))
	}
}

// typeName returns the printed type of a message.
func typeName(msg any) string {
	if msg == nil {
		return "nil"
	}
	return reflect.TypeOf(msg).String()
}

// Reply answers the sender of the message under way, if there is one.
func Reply(c actor.Context, m any) {
	if to := c.Sender(); to != nil {
		c.Send(to, m)
	}
}
