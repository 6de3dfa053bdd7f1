package supervisor

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// States of an actor as Info shows them.
const (
	StateStarting   = "starting"    // Started has not returned yet
	StateRunning    = "running"     // idle, or with messages that wait
	StateBusy       = "busy"        // a message is in hand
	StateStuck      = "stuck"       // the message in hand is older than StuckAfter
	StateSuspended  = "suspended"   // failed; the parent has not decided yet
	StateBackingOff = "backing_off" // failed; the restart waits until NextRestart
	StateRestarting = "restarting"  // waits for its children to stop, then starts again
	StateStopping   = "stopping"
	StateFailed     = "failed" // stopped by Isolate; NextRestart is when the parent hears RetryDue
)

// StuckAfter is how long an actor may work on one message before it counts as
// stuck.
const StuckAfter = 10 * time.Second

// Info describes an actor as the registry knows it, without asking the actor.
// Times are those of [Runtime].Now. Figures of busy actors may lag by a batch of 32
// messages.
type Info struct {
	Path, Parent, Name, Kind string
	Type                     string // Go type of the actor
	State                    string
	Policy                   string  // what happens when it fails: its parent's Action; "stop" at the top of the tree
	Children                 Policy  // what happens to its own children, defaults filled in
	OnPanic                  OnPanic // what a panic does to it, before the parent's policy
	Incarnation              uint64  // 1 for the first
	StartedAt                time.Time

	Depth, SystemDepth int // messages that wait
	HighWater          int // greatest Depth since the spawn
	Alarm              int // Depth at which a warning is logged
	Alarmed            bool
	OldestAge          time.Duration // lower bound of the age of the oldest message that waits

	Handled, Restarts, Contained, Unhandled uint64
	EventsMissed                            uint64 // dropped above EventsHeld while it did not run
	RestartsWindow                          int    // restarts that count against the parent's budget now

	Watchers []string // paths of the actors that are told of its end, sorted; its parent is always told

	BusyTime time.Duration // spent in Receive since the spawn
	Tasks    []string      // names of the running Go and Do, sorted
	Running  []TaskInfo    // the running Go, the oldest first
	Timers   int           // that have not fired
	Message  string        // type of the message in hand; empty when idle
	Since    time.Time     // when the message in hand began

	NextRestart   time.Time
	LastFailure   *PanicError // also a contained one
	LastFailureAt time.Time
}

// TaskInfo describes a running Go. Many run for as long as the actor does.
type TaskInfo struct {
	Name string
	Age  time.Duration
}

// snapshot describes all actors in the order of their paths: parents come before
// their children.
func (h *host) snapshot() []Info {
	h.mu.Lock()
	cells := h.ordered()
	all := make([]Info, 0, len(cells)+len(h.failed))
	for path, info := range h.failed {
		if c := h.cells[path]; c == nil || c.state.Load() == stateGone {
			all = append(all, info)
		}
	}
	h.mu.Unlock()
	sorted := len(all) == 0
	now := h.nanos()
	for _, c := range cells {
		if c.state.Load() != stateGone {
			all = append(all, h.infoAt(c, now))
		}
	}
	if !sorted {
		slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.Path, b.Path) })
	}
	return all
}

// ordered returns all cells by path. The caller holds mu for writing. ordered makes
// a new list when actors have come or gone, and never changes an old one.
func (h *host) ordered() []*cell {
	if h.order == nil {
		h.order = make([]*cell, 0, len(h.cells))
		for _, c := range h.cells {
			h.order = append(h.order, c)
		}
		slices.SortFunc(h.order, func(a, b *cell) int { return strings.Compare(a.path(), b.path()) })
	}
	return h.order
}

func (h *host) info(c *cell) Info { return h.infoAt(c, h.nanos()) }

func (h *host) infoAt(c *cell, now int64) Info {
	i := Info{
		Path:        c.path(),
		Name:        nameOf(c.path()),
		Kind:        c.kind,
		Children:    *c.policy,
		OnPanic:     c.onPanic,
		Incarnation: uint64(c.incarnation.Load()),
		StartedAt:   h.base.Add(time.Duration(c.began)),
		Alarm:       int(c.alarm),
		Restarts:    uint64(c.restarts.Load()),
		Contained:   c.contained.Load(),
		Unhandled:   c.unhandled.Load(),

		EventsMissed: c.missed.Load(),
	}
	if c.parent != nil {
		i.Parent = c.parent.path()
		i.Policy = c.parent.policy.Action.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goType != nil {
		i.Type = c.goType.String()
	}
	i.Depth, i.SystemDepth = c.depth(), int(c.system.n)
	i.HighWater = max(int(c.high), i.Depth)
	i.Alarmed = c.alarmed
	i.Handled = c.taken - min(c.taken, c.looks.Load())
	if len(c.watchers) > 0 {
		i.Watchers = slices.Sorted(maps.Keys(c.watchers))
	}
	i.BusyTime = time.Duration(c.busy.Load())
	if t := c.failures; t != nil {
		i.LastFailure, i.LastFailureAt, i.NextRestart = t.last, t.at, t.next
		if c.parent != nil {
			i.RestartsWindow = t.budget.inWindow(*c.parent.policy, h.base.Add(time.Duration(now)))
		}
	}
	i.Timers = int(c.timers)
	for _, t := range c.tasks {
		i.Tasks = append(i.Tasks, t.label())
		if t.began > 0 {
			i.Running = append(i.Running, TaskInfo{t.label(), time.Duration(now - t.began)})
		}
	}
	slices.Sort(i.Tasks)
	slices.SortFunc(i.Running, func(a, b TaskInfo) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), strings.Compare(a.Name, b.Name))
	})
	switch c.state.Load() {
	case stateStarting:
		i.State = StateStarting
	case stateRunning:
		i.State = StateRunning
	case stateSuspended:
		i.State = StateSuspended
	case stateBackingOff:
		i.State = StateBackingOff
	case stateRestarting:
		i.State = StateRestarting
	default:
		i.State = StateStopping
	}
	if i.State != StateBackingOff {
		i.NextRestart = time.Time{}
	}
	if c.user.n > 0 && c.mark > c.taken {
		i.OldestAge = time.Duration(now - c.markAt)
	}
	if b := c.batch; b != nil {
		since := b.since.Load()
		age := time.Duration(now - since)
		i.BusyTime += age
		if b.left.Load() > 0 {
			i.OldestAge = max(i.OldestAge, age)
		}
		i.Handled -= min(i.Handled, uint64(b.left.Load()))
		if t, ok := b.inHand.Load().(reflect.Type); ok && t != nilType {
			i.Message = t.String()
			i.Since = h.base.Add(time.Duration(since))
			switch {
			case age >= StuckAfter:
				i.State = StateStuck
			case i.State == StateRunning:
				i.State = StateBusy
			}
		}
	}
	return i
}

// stuck names the actors and tasks that have not ended. It leaves out an actor that
// only waits for one that it names.
func (h *host) stuck() []string {
	var paths []string
	h.mu.RLock()
	defer h.mu.RUnlock()
	waits := make(map[*cell]bool)
	for _, c := range h.cells {
		if c.state.Load() == stateGone {
			continue
		}
		for p := c.parent; p != nil && !waits[p]; p = p.parent {
			waits[p] = true
		}
	}
	for path, c := range h.cells {
		if !waits[c] && !c.top && c.state.Load() != stateGone {
			paths = append(paths, path)
		}
		paths = append(paths, c.runningTasks()...)
	}
	for c := range h.ended {
		paths = append(paths, c.runningTasks()...)
	}
	slices.Sort(paths)
	return paths
}

func (c *cell) runningTasks() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tasks {
		names = append(names, c.path()+" (task "+strings.TrimSpace(t.label())+")")
	}
	return names
}
