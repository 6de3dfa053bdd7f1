package supervisor

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// host holds the state that all actors of one Root share: the registry, the
// runtime, the subscriptions.
type host struct {
	sys      *actor.ActorSystem
	rt       Runtime
	world    bool // rt is Real
	base     time.Time
	log      *slog.Logger
	options  Options
	props    *actor.Props
	dispatch actor.Dispatcher
	pool     *pool // dispatch, in the world; else nil

	mu      sync.RWMutex
	cells   map[string]*cell // by path; until the parent has heard of the end
	order   []*cell          // all of cells by path; nil: out of date
	seeds   map[string]seed  // by path; being spawned
	failed  map[string]Info  // by path; stopped by Isolate, not spawned again yet
	ended   map[*cell]bool   // ended actors of which a task still runs
	onQuiet func()           // called once when no task runs
	tasks   int              // running

	subscribers sync.RWMutex
	topics      topics

	starting  atomic.Int32  // actors whose first Started has not returned
	ready     chan struct{} // closed when starting first reaches zero
	readyOnce sync.Once

	watching atomic.Bool
	unwatch  func() // stops the watchdog's timer; guarded by mu
	over     atomic.Bool
}

// seed is an actor between Spawn and RegisterHandlers.
type seed struct {
	spec   Spec
	parent *cell
	top    bool
}

func newHost(sys *actor.ActorSystem, o Options) *host {
	h := &host{sys: sys, rt: o.Runtime, log: o.Logger, options: o, ready: make(chan struct{})}
	if h.rt == nil {
		h.rt = Real()
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	_, h.world = h.rt.(realTime)
	if h.world {
		h.pool = newPool(h.watch)
		h.dispatch = h.pool
	} else {
		h.dispatch = h.rt.Dispatcher()
	}
	h.base = h.rt.Now()
	h.cells = make(map[string]*cell)
	h.seeds = make(map[string]seed)
	h.props = actor.PropsFromProducer(
		func() actor.Actor { return &wrapper{host: h} },
		actor.WithMailbox(func() actor.Mailbox { return &cell{host: h} }),
		actor.WithDispatcher(h.dispatch),
		actor.WithSupervisor(strategy{}))
	return h
}

// nameOf returns the last part of a path.
func nameOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// nanos reads the host's monotonic clock.
func (h *host) nanos() int64 {
	if h.world {
		return int64(time.Since(h.base))
	}
	return int64(h.rt.Now().Sub(h.base))
}

// spawner is the part of protoactor's contexts that spawns actors.
type spawner interface {
	SpawnNamed(props *actor.Props, name string) (*actor.PID, error)
}

func (h *host) spawn(c spawner, parent *cell, s Spec) (*actor.PID, error) {
	path := s.Name
	if parent != nil {
		path = parent.path() + "/" + s.Name
	}
	if s.New == nil {
		return nil, fmt.Errorf("supervisor: spawn %s: Spec.New is nil", path)
	}
	inUse := fmt.Errorf("supervisor: spawn %s: the name is in use; it is free when its parent has received Terminated", path)
	if _, taken := h.sys.ProcessRegistry.GetLocal(path); taken {
		return nil, inUse
	}
	h.mu.Lock()
	if h.cells[path] != nil {
		h.mu.Unlock()
		return nil, inUse
	}
	h.seeds[path] = seed{spec: s, parent: parent, top: parent == nil}
	delete(h.failed, path)
	h.mu.Unlock()
	pid, err := c.SpawnNamed(h.props, s.Name)
	if err != nil {
		h.mu.Lock()
		delete(h.seeds, path)
		h.mu.Unlock()
		return nil, fmt.Errorf("supervisor: spawn %s: %w", path, err)
	}
	return pid, nil
}

// admit completes a cell and puts it into the registry.
func (h *host) admit(c *cell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.seeds[c.path()]
	if !ok {
		panic("supervisor: our props were used without Spawn: " + c.path())
	}
	delete(h.seeds, c.path())
	c.parent, c.top = s.parent, s.top
	c.kind, c.make, c.drains, c.onPanic = s.spec.Kind, s.spec.New, s.spec.Drains, s.spec.OnPanic
	if c.keeps = s.spec.Keeps; c.keeps {
		c.parent.fosters.Store(true)
	}
	if c.kind == "" {
		c.kind = s.spec.Name
	}
	c.alarm = int32(s.spec.Alarm)
	if c.alarm <= 0 {
		c.alarm = DefaultAlarm
	}
	if s.spec.Children == (Policy{}) {
		c.policy = defaultPolicy
	} else {
		p := s.spec.Children.withDefaults()
		c.policy = &p
	}
	c.began = h.nanos()
	h.cells[c.path()] = c
	h.order = nil
	h.starting.Add(1)
}

var defaultPolicy = func() *Policy { p := Policy{}.withDefaults(); return &p }()

func (h *host) lookup(path string) *cell {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.cells[path]
}

// remove takes an ended actor out of the registry.
func (h *host) remove(c *cell) {
	c.mu.Lock()
	lingers := len(c.tasks) > 0
	c.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cells[c.path()] == c {
		delete(h.cells, c.path())
		h.order = nil
	}
	if lingers {
		if h.ended == nil {
			h.ended = make(map[*cell]bool)
		}
		h.ended[c] = true
	}
}

// stopped is the last step of an actor's end, inside Stopped.
func (c *cell) stopped() {
	c.closeMailbox()
	c.dropKept()
	c.state.Store(stateGone)
	c.endedByHand()
	c.endTrace()
	if c.top {
		c.host.remove(c)
		c.current.inner.(*top).root.ended()
	}
	// A PID remembers its mailbox, which is this cell, so whoever keeps the PID of an ended actor
	// keeps the cell. What the actor was made of, and has, must not stay with it.
	c.make, c.current.inner = nil, nil
}

func (h *host) taskBegan() {
	h.mu.Lock()
	h.tasks++
	h.mu.Unlock()
}

func (h *host) taskEnded(c *cell) {
	var quiet func()
	h.mu.Lock()
	h.tasks--
	if h.ended[c] {
		c.mu.Lock()
		if len(c.tasks) == 0 {
			delete(h.ended, c)
		}
		c.mu.Unlock()
	}
	if h.tasks == 0 {
		quiet, h.onQuiet = h.onQuiet, nil
	}
	h.mu.Unlock()
	if quiet != nil {
		quiet()
	}
}

// whenQuiet calls f when no task runs, at once if none does now.
func (h *host) whenQuiet(f func()) {
	h.mu.Lock()
	if h.tasks > 0 {
		h.onQuiet = f
		f = nil
	}
	h.mu.Unlock()
	if f != nil {
		f()
	}
}

// keepFailed remembers a child that Isolate stops, until it is spawned again.
func (h *host) keepFailed(c *cell, retry time.Time) {
	info := h.info(c)
	info.State, info.NextRestart = StateFailed, retry
	info.Depth, info.SystemDepth, info.Timers, info.Tasks, info.Message = 0, 0, 0, nil, ""
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed == nil {
		h.failed = make(map[string]Info)
	}
	h.failed[c.path()] = info
}

// waitsUntil reports whether Isolate has stopped an actor, whose parent is to hear RetryDue at that time.
func (h *host) waitsUntil(path string, due time.Time) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	info, ok := h.failed[path]
	return ok && info.NextRestart.Equal(due)
}

// forgetFailed forgets the failed children of a parent that ends.
func (h *host) forgetFailed(parent *cell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for path, info := range h.failed {
		if info.Parent == parent.path() {
			delete(h.failed, path)
		}
	}
}

// forgetOne forgets a failed actor that will not be spawned again.
func (h *host) forgetOne(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.failed, path)
}

// deep logs that a mailbox has reached its alarm depth.
func (h *host) deep(c *cell, depth int) {
	safely(func() {
		h.log.Warn("mailbox deep", labelActor, c.path(), "depth", depth, "alarm", c.alarm)
	})
}
