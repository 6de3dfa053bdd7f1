package supervisor

import (
	"context"
	"reflect"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// cell is the part of an actor that all its incarnations share, from the spawn
// to the end: mailbox, place in the tree, figures.
//
// A field is fixed before the first message, guarded by mu, or owned by the
// turn, that is the goroutine that runs the mailbox at the time.
type cell struct {
	host     *host
	parent   *cell // nil for top
	pid      *actor.PID
	invoker  actor.MessageInvoker // also the actor.Context and actor.Supervisor
	activate func()               // run, made once
	kind     string
	make     func() actor.Actor
	policy   *Policy // for its children, with defaults
	began    int64   // nanoseconds on the host's clock
	alarm    int32
	onPanic  OnPanic
	top      bool
	drains   bool // of a Group, too
	keeps    bool // see Spec.Keeps

	mu       sync.Mutex
	heir     *cell // which is this one
	user     fifo
	system   fifo
	batch    *batch // of the running activation
	taken    uint64 // user messages ever taken out of the queue
	mark     uint64 // user messages put into the queue until markAt
	markAt   int64
	tasks    []*task // running, of any incarnation
	goType   reflect.Type
	failures *failures           // nil until the first panic
	watchers map[string]struct{} // paths of actors that watch it; nil: none
	high     int32               // greatest length of user
	timers   int32               // neither fired nor stopped
	running  bool                // an activation is scheduled or runs
	blocked  bool                // failed or stopping: no user message is delivered
	closed   bool                // has stopped: user messages go to dead letters, unless it
	kept     bool                // … keeps them for the next child of this name
	alarmed  bool

	// owned by the turn
	inSystem bool     // a system message is in hand
	stopping bool     // Stop was seen
	up       bool     // Started has returned or failed, once
	current  *wrapper // the present incarnation
	roster   *roster  // what a Group keeps over its restarts
	label    context.Context
	hears    []*subscription
	asked    *hands // nil until somebody acts on it

	gen         atomic.Uint64 // of the living incarnation; zero when there is none
	fosters     atomic.Bool   // a child keeps its messages
	state       atomic.Uint32
	incarnation atomic.Uint32
	restarts    atomic.Uint32
	byHand      atomic.Bool // the last incarnation ended because somebody asked for that
	stuckSeen   atomic.Bool // the watchdog has reported the message in hand
	contained   atomic.Uint64
	unhandled   atomic.Uint64
	looks       atomic.Uint64 // orders that it has carried out: how often somebody has looked; no messages of its own
	heldEvents  atomic.Int64  // events since the last incarnation failed
	missed      atomic.Uint64 // events dropped above EventsHeld, since the spawn
	busy        atomic.Int64  // nanoseconds, up to the last refill

	trace atomic.Pointer[trace] // nil but while somebody looks
}

// failures is a cell's record of its panics, guarded by its mu.
type failures struct {
	last     *PanicError
	at       time.Time
	budget   budget    // charged by the parent
	renewals budget    // restarts by RestartOnPanic
	crash    crash     // the last failure, until the parent has decided
	next     time.Time // when the delayed restart is due
}

// failureRecord returns the cell's record of panics, a new one if there was none. The
// caller holds mu.
func (c *cell) failureRecord() *failures {
	if c.failures == nil {
		c.failures = new(failures)
	}
	return c.failures
}

// states of a cell
const (
	stateStarting uint32 = iota
	stateRunning
	stateSuspended  // failed, the parent decides
	stateBackingOff // failed, the restart waits
	stateRestarting // children stop, then the next incarnation starts
	stateStopping
	stateGone
)

// generations numbers all incarnations of this process.
var generations atomic.Uint64

func (c *cell) path() string { return c.pid.Id }

func (c *cell) ctx() actor.Context { return c.invoker.(actor.Context) }

// labels returns a context with the labels of the goroutines that work for this
// actor.
func (c *cell) labels() context.Context {
	if c.label == nil {
		c.label = pprof.WithLabels(context.Background(), pprof.Labels(labelActor, c.path(), labelKind, c.kind))
	}
	return c.label
}

const (
	labelActor = "actor"
	labelKind  = "kind"
	labelTask  = "task"
)

// noteStarted notes that the actor's first Started has returned or failed. The tree is
// ready when no actor is starting. Parents spawn in their own Started, so the
// count does not reach zero earlier.
func (c *cell) noteStarted() {
	if c.up {
		return
	}
	c.up = true
	if h := c.host; h.starting.Add(-1) == 0 {
		h.readyOnce.Do(func() { close(h.ready) })
	}
}

// post sends a message to one incarnation of this actor. The message is discarded
// when that incarnation has ended.
func (c *cell) post(gen uint64, msg any) {
	c.PostUserMessage(&stamped{gen: gen, msg: msg})
}

// closeMailbox ends delivery for good and discards the messages that are left, unless it
// keeps them. It runs inside Stopped: everything else must be closed when the parent hears
// of the end.
func (c *cell) closeMailbox() {
	c.mu.Lock()
	c.closed, c.blocked = true, true
	if c.batch != nil {
		c.unload(c.batch)
	}
	if c.keeps && c.parent.state.Load() == stateRestarting {
		c.kept = true
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.discardLeft()
}

// discardLeft discards the messages that are left when the mailbox is closed.
func (c *cell) discardLeft() {
	c.mu.Lock()
	c.kept = false
	left := c.user
	c.user.release()
	c.mu.Unlock()
	if c.keeps {
		officeOf(c.host.sys).keeps(c, false)
	}
	for {
		m, ok := left.pop()
		if !ok {
			return
		}
		c.deadLetter(m)
	}
}

// deadLetter publishes m as a dead letter and discards it.
func (c *cell) deadLetter(m any) {
	switch m.(type) {
	case *stamped, *order: // stale, or internal to this package: not published
	default: // the office discards it
		if safely(func() { c.host.sys.DeadLetter.SendUserMessage(c.pid, m) }) == nil {
			return
		}
	}
	discard(m)
}
