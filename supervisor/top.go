package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// top is the parent of a tree. It spawns the tree and runs its shutdown; it never
// fails.
type top struct {
	root *root
	spec Spec

	stopping bool
	bound    bool // deadline is set
	deadline time.Time
	phase    int
	draining bool
	step     int             // counts the steps, so that a late timer is recognised
	waiting  map[string]bool // ids of the actors that the step waits for
	timer    *Timer
	treeGone bool
	quiet    bool
}

type stopRequest struct {
	cause    error
	deadline time.Time
	bound    bool
	began    chan bool // receives whether this request began the stop
}

// IgnoreDeadLetterLogging: a tree that has ended needs no second stop.
func (stopRequest) IgnoreDeadLetterLogging() {}

type (
	stepDue   struct{ step int }
	stuckDue  struct{}
	tasksDone struct{}
)

func (t *top) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		Spawn(c, t.spec)
	case stopRequest:
		t.stop(c, m)
	case Drained:
		t.ended(c, m.From.Id, t.draining)
	case *actor.Terminated:
		if m.Who.Id == t.root.tree.Id {
			t.treeGone = true
			if !t.stopping { // it stopped itself
				t.stop(c, stopRequest{})
				return
			}
		}
		t.ended(c, m.Who.Id, true)
	case stepDue:
		if m.step == t.step {
			t.waiting = nil
			t.advance(c)
		}
	case stuckDue:
		t.root.finish(t.root.host.stuck())
	case tasksDone:
		t.quiet, t.waiting = true, nil
		t.advance(c)
	default:
		Unhandled(c)
	}
}

// stop begins the shutdown. While one is under way, it does nothing more.
func (t *top) stop(c actor.Context, m stopRequest) {
	if m.began != nil {
		m.began <- !t.stopping
	}
	if t.stopping {
		return
	}
	t.stopping = true
	t.root.mu.Lock()
	t.root.cause = m.cause
	t.root.mu.Unlock()
	if m.cause != nil {
		Log(c).Error("tree stops", "err", m.cause)
	}
	t.deadline, t.bound = m.deadline, m.bound
	if !m.bound {
		t.deadline = Now(c).Add(t.root.host.options.StopTimeout)
	}
	if m.bound || m.began == nil { // no caller waits for a stop by failure
		At(c, t.deadline, stuckDue{})
	}
	t.phase, t.draining = -1, false
	t.advance(c)
}

// ended notes that the step no longer waits for the actor of that id.
func (t *top) ended(c actor.Context, id string, counts bool) {
	if counts && t.stopping {
		delete(t.waiting, id)
		t.advance(c)
	}
}

// advance begins the next step when the present one waits for no actor.
func (t *top) advance(c actor.Context) {
	if !t.stopping {
		return
	}
	for len(t.waiting) == 0 {
		phases := t.root.host.options.Phases
		t.step++
		if t.timer != nil {
			t.timer.Stop()
			t.timer = nil
		}
		switch {
		case t.draining:
			t.draining = false
			t.stopStep(c, phases[t.phase].Stop)
		case t.phase+1 < len(phases):
			t.phase++
			t.draining = true
			t.drainStep(c, phases[t.phase].Drain)
		default:
			t.finale(c)
			return
		}
		if len(t.waiting) > 0 {
			left := t.deadline.Sub(Now(c))
			t.timer = After(c, left*3/4, stepDue{t.step})
		}
	}
}

func (t *top) find(rel string) *cell {
	c := t.root.host.lookup(t.root.tree.Id + "/" + rel)
	if c == nil || c.state.Load() == stateGone {
		return nil
	}
	return c
}

func (t *top) drainStep(c actor.Context, paths []string) {
	t.waiting = make(map[string]bool)
	for _, p := range paths {
		if cell := t.find(p); cell != nil && cell.drainable() {
			t.waiting[cell.path()] = true
			c.Watch(cell.pid)
			c.Request(cell.pid, Drain{Deadline: Now(c).Add(t.deadline.Sub(Now(c)) * 3 / 4)})
		}
	}
}

func (t *top) stopStep(c actor.Context, paths []string) {
	t.waiting = make(map[string]bool)
	for _, p := range paths {
		if cell := t.find(p); cell != nil {
			t.waiting[cell.path()] = true
			c.Watch(cell.pid)
			c.Stop(cell.pid)
		}
	}
}

// finale stops the tree, waits for the tasks and stops itself. It is entered
// again after each of these.
func (t *top) finale(c actor.Context) {
	switch {
	case !t.treeGone:
		t.waiting = map[string]bool{t.root.tree.Id: true}
		c.Stop(t.root.tree)
	case !t.quiet:
		t.waiting = map[string]bool{"tasks": true}
		self := of(c).cell
		t.root.host.whenQuiet(func() { self.PostUserMessage(tasksDone{}) })
	default:
		c.Stop(c.Self())
	}
}
