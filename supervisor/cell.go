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

// cell is what lasts of an actor from its spawn to its end, over all its
// incarnations: mailbox, place in the tree, figures.
//
// Fields belong to one of three: fixed before the first message; guarded by
// mu; or owned by the turn, that is the goroutine that runs the mailbox.
type cell struct {
	host     *host
	parent   *cell // nil for top
	pid      *actor.PID
	invoker  actor.MessageInvoker // also the actor.Context and actor.Supervisor
	activate func()               // run, made once
	kind     string
	make     func() actor.Actor
	policy   *Policy // for its children, with defaults
	onPanic  OnPanic
	began    int64 // nanoseconds on the host's clock
	alarm    int32
	top      bool

	mu      sync.Mutex
	running bool // an activation is scheduled or runs
	blocked bool // failed or stopping: no user message is delivered
	closed  bool // has stopped: user messages go to dead letters
	alarmed bool
	high    int32 // greatest length of user
	user    fifo
	system  fifo
	batch   *batch // of the running activation
	taken   uint64 // user messages ever taken out of the queue
	mark    uint64 // when the clock read markAt, this many had been put in
	markAt  int64
	tasks   []*task // running, of any incarnation
	timers  int     // that have not come or been stopped
	goType  reflect.Type
	trouble *trouble // nil until the first panic

	// owned by the turn
	life     *wrapper // the present incarnation
	inSystem bool     // a system message is in hand
	stopping bool     // Stop was seen
	drains   bool
	up       bool    // Started has returned or failed, once
	roster   *roster // what a Group keeps over its restarts
	label    context.Context
	hears    []*subscription

	gen         atomic.Uint64 // of the living incarnation; zero when there is none
	state       atomic.Uint32
	incarnation atomic.Uint32
	restarts    atomic.Uint32
	contained   atomic.Uint64
	unhandled   atomic.Uint64
	held        atomic.Int64  // events since the last incarnation failed
	missed      atomic.Uint64 // of them, above EventsHeld, since the spawn
	busy        atomic.Int64  // nanoseconds, up to the last refill
	stuckSeen   atomic.Bool   // the watchdog has reported the message in hand
}

// trouble is what a cell keeps about panics, guarded by its mu.
type trouble struct {
	last     *PanicError
	at       time.Time
	budget   budget    // charged by the parent
	renewals budget    // of RestartOnPanic
	crash    crash     // the last failure, until the parent has decided
	next     time.Time // when the delayed restart is due
}

// troubled returns the cell's trouble; mu is held.
func (c *cell) troubled() *trouble {
	if c.trouble == nil {
		c.trouble = new(trouble)
	}
	return c.trouble
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

// labels marks the goroutines that work for this actor.
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

// isUp notes that the actor has got through its first Started, or failed in it.
// The tree is ready when nobody is on the way: parents spawn in their own
// Started, so the count cannot touch zero before.
func (c *cell) isUp() {
	if c.up {
		return
	}
	c.up = true
	if h := c.host; h.starting.Add(-1) == 0 {
		h.readyOnce.Do(func() { close(h.ready) })
	}
}

// post sends an incarnation of this actor a message; it is discarded when that
// incarnation has ended.
func (c *cell) post(gen uint64, msg any) {
	c.PostUserMessage(&stamped{gen: gen, msg: msg})
}

// closeMailbox ends delivery for good and discards what is left. It runs inside
// Stopped: once the parent hears of the end, nothing may be open any more.
func (c *cell) closeMailbox() {
	c.mu.Lock()
	c.closed, c.blocked = true, true
	if c.batch != nil {
		c.unload(c.batch)
	}
	left := c.user
	c.user.release()
	c.mu.Unlock()
	for {
		m, ok := left.pop()
		if !ok {
			return
		}
		c.deadLetter(m)
	}
}

// deadLetter tells the system that nobody handled m, and discards it.
func (c *cell) deadLetter(m any) {
	switch m.(type) {
	case *stamped, *order: // ours or stale: nobody else's business
	default: // our subscriber discards it
		if safely(func() { c.host.sys.DeadLetter.SendUserMessage(c.pid, m) }) == nil {
			return
		}
	}
	discard(m)
}
