package supervisor

import (
	"context"
	"fmt"
	"io"
	"runtime/pprof"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Go runs fn on a goroutine owned by this incarnation and sends TaskDone when fn
// returns. When the incarnation ends (stop, restart or failure), fn's context is
// cancelled. closer, if not nil, belongs to the task: Go closes it exactly once, when
// the incarnation ends or when fn has returned, whichever comes first. That ends a
// task that blocks in a read. cancel only cancels the context.
//
// When the incarnation has ended already, Go closes closer, does not run fn, and
// sends no TaskDone. Other work may follow on fn's goroutine, so fn unlocks what it locks with
// runtime.LockOSThread.
func Go(c actor.Context, name string, closer io.Closer, fn func(context.Context) error) (cancel func()) {
	return of(c).task(name, closer, medium, fn, func(err error) any { return TaskDone{name, err} })
}

// GoReport is [Go] with a message of yours in place of TaskDone: the result of report, which is
// called on the task's goroutine with what fn has returned. When report returns nil, no message is sent.
func GoReport(c actor.Context, name string, closer io.Closer, fn func(context.Context) error, report func(error) any) (cancel func()) {
	return of(c).task(name, closer, medium, fn, report)
}

// GoLong is [Go] for a task that lasts about as long as the incarnation and mostly waits, such
// as one that accepts connections. It has a new goroutine, whose stack is small, where Go prefers
// one that has worked before.
func GoLong(c actor.Context, name string, closer io.Closer, fn func(context.Context) error) (cancel func()) {
	return of(c).task(name, closer, long, fn, func(err error) any { return TaskDone{name, err} })
}

// Do is Go for one short piece of work with a result, which it sends as a Done. It
// panics for a T that is an io.Closer but no Discarder: put it into a Handover.
func Do[T any](c actor.Context, key any, fn func(context.Context) (T, error)) (cancel func()) {
	return DoWith(c, key, nil, fn)
}

// DoWith is Do with a closer, which belongs to the task as that of Go does.
func DoWith[T any](c actor.Context, key any, closer io.Closer, fn func(context.Context) (T, error)) (cancel func()) {
	mustNotLeak[T]()
	var v T
	return of(c).task(key, closer, short,
		func(ctx context.Context) (err error) { v, err = fn(ctx); return err },
		func(err error) any { return Done[T]{key, v, err} })
}

// Lender returns a function that runs short functions on goroutines of c's tree that have worked
// before, or on new ones, and never waits. It is for objects that start goroutines of their own
// often, such as a session of a multiplexer. Nothing supervises such a function: it must not
// panic, and its object waits for its end.
func Lender(c actor.Context) (run func(f func())) {
	if p := of(c).cell.host.pool; p != nil {
		return p.Schedule
	}
	return func(f func()) { go f() }
}

// Tell sends msg to the task's own actor, from inside fn of a Go or Do; ctx is the
// context that fn was given, or derived from it. Like TaskDone the message is for
// one incarnation; when that has ended, msg is discarded. A task that sends many
// messages needs something that bounds them, such as a credit.
func Tell(ctx context.Context, msg any) {
	t, ok := ctx.Value(taskKey{}).(*task)
	if !ok {
		panic("supervisor: Tell outside a task; pass the context that Go or Do gave to your function")
	}
	t.cell.post(t.gen, msg)
}

// Teller returns a function that does the same as Tell, for callbacks outside of
// any task. The function may be called from any goroutine, at any time.
func Teller(c actor.Context) (tell func(msg any)) {
	w := of(c)
	return func(msg any) { w.cell.post(w.gen, msg) }
}

// span says how long a task is expected to last, which decides on its goroutine.
type span uint8

const (
	short  span = iota // one of the pool
	medium             // an idle one of the pool, or else a new one
	long               // a new one
)

type taskKey struct{}

// task is one running Go or Do.
type task struct {
	cell   *cell
	gen    uint64
	name   any
	at     int   // index in cell.tasks
	began  int64 // nanoseconds on the host's clock; only for a Go
	closer io.Closer
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	body   func(context.Context) error
	report func(error) any // returns the TaskDone or Done
	labels context.Context // of its goroutine; nil under a Seeded
}

// taskContext lets Tell find the task.
type taskContext struct {
	context.Context
	t *task
}

func (c taskContext) Value(key any) any {
	if _, ok := key.(taskKey); ok {
		return c.t
	}
	return c.Context.Value(key)
}

func (w *wrapper) task(name any, closer io.Closer, lasts span, body func(context.Context) error, report func(error) any) func() {
	if w.over {
		if closer != nil {
			closeSafely(closer)
		}
		return func() {}
	}
	c := w.cell
	ctx, cancel := context.WithCancel(context.Background())
	t := &task{cell: c, gen: w.gen, name: name, closer: closer, cancel: cancel, body: body, report: report}
	t.ctx = taskContext{ctx, t}
	if c.host.world {
		t.labels = c.labels()
		if lasts != short { // too expensive for short work
			t.labels = pprof.WithLabels(t.labels, pprof.Labels(labelTask, t.label()))
		}
	}
	if lasts != short {
		t.began = c.host.nanos()
	}
	c.host.taskBegan()
	c.mu.Lock()
	t.at = len(c.tasks)
	c.tasks = append(c.tasks, t)
	c.mu.Unlock()
	switch p := c.host.pool; {
	case p != nil && lasts == short:
		p.Schedule(t.do)
	case p != nil && lasts == medium && p.reuse(t.do):
	default:
		c.host.rt.Task(lasts != short, t.run)
	}
	return cancel
}

// end is called when the incarnation is over.
func (t *task) end() {
	t.cancel()
	t.close()
}

func (t *task) close() {
	if t.closer != nil {
		t.once.Do(func() { closeSafely(t.closer) })
	}
}

// run does the work. It returns the function that sends the final message, so that
// a runtime may let time pass in between.
func (t *task) run() (deliver func()) {
	if t.cell.host.world {
		pprof.SetGoroutineLabels(t.labels)
	}
	finished := false
	defer func() {
		if finished {
			return
		}
		r := recover()
		cause := newPanicError(t.cell.path(), t.label(), r)
		t.cell.noteFailure(cause, "task failed")
		msg := t.report(cause)
		t.end()
		if r == nil { // runtime.Goexit: the return value is lost
			t.deliver(msg)
			return
		}
		deliver = func() { t.deliver(msg) }
	}()
	if fault := t.cell.host.options.Fault; fault != nil {
		fault(t.cell.path(), "task "+t.label())
	}
	err := t.body(t.ctx) // most tasks wait in body: keep the stack above it small
	finished = true
	t.end()
	msg := t.report(err)
	return func() { t.deliver(msg) }
}

// do is run with the final message, for a goroutine of the pool.
func (t *task) do() {
	if deliver := t.run(); deliver != nil {
		deliver()
	}
}

func (t *task) deliver(msg any) {
	c := t.cell
	c.mu.Lock()
	last := len(c.tasks) - 1
	c.tasks[t.at] = c.tasks[last]
	c.tasks[t.at].at = t.at
	c.tasks[last] = nil
	c.tasks = c.tasks[:last]
	if last == 0 {
		c.tasks = nil
	}
	c.mu.Unlock()
	if msg != nil {
		c.post(t.gen, msg)
	}
	c.host.taskEnded(c)
}

func (t *task) label() string { return fmt.Sprint(t.name) }
