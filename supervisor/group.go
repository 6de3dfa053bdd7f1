package supervisor

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

type (
	// Attach asks a Group to spawn one more child; the reply is Attached. When
	// a child of that name is stopping, the Group waits for its end.
	Attach struct{ Spec Spec }
	// Attached answers Attach. PID is nil when Err is not: the name is in use
	// or invalid.
	Attached struct {
		PID *actor.PID
		Err error
	}
	// Detach asks a Group to stop that child for good.
	Detach struct{ Name string }
)

// Group returns the New of a [Spec] for an actor that only has children. It spawns
// specs in order, obeys Attach, Detach and RetryDue, and passes Drain on. After a
// restart it spawns its children again, attached ones too, except those that had
// stopped by themselves or under the policy Temporary.
func Group(specs ...Spec) func() actor.Actor {
	return func() actor.Actor { return &group{initial: specs} }
}

type group struct {
	initial []Spec
	*roster
	pending []pendingAttach
	drains  []*actor.PID    // senders of the Drains under way
	waiting map[string]bool // ids of children that have not drained
}

// roster lists the children that a group has to run. It outlives a restart.
type roster struct{ specs []Spec }

type pendingAttach struct {
	spec Spec
	from *actor.PID
}

func (g *group) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		g.start(c)
	case Attach:
		g.attach(c, m.Spec, c.Sender())
	case Detach:
		g.detach(c, m.Name)
	case ChildFailed: // stays on the roster; RetryDue may follow
	case RetryDue:
		if i := g.find(m.Name); i >= 0 && !g.running(c, m.Name) {
			Spawn(c, g.specs[i])
		}
	case Drain:
		g.drain(c, m)
	case Drained:
		g.drained(c, m.From.Id)
	case *actor.Terminated:
		g.terminated(c, m.Who.Id)
	default:
		Unhandled(c)
	}
}

func (g *group) start(c actor.Context) {
	cell := of(c).cell
	if cell.roster == nil {
		cell.roster = &roster{slices.Clone(g.initial)}
	}
	g.roster = cell.roster
	for _, s := range slices.Clone(g.specs) {
		Spawn(c, s)
	}
}

func (g *group) find(name string) int {
	return slices.IndexFunc(g.specs, func(s Spec) bool { return s.Name == name })
}

func (g *group) running(c actor.Context, name string) bool {
	return of(c).cell.host.lookup(c.Self().Id+"/"+name) != nil
}

func (g *group) attach(c actor.Context, s Spec, from *actor.PID) {
	reply := func(a Attached) {
		if from != nil {
			c.Send(from, a)
		}
	}
	switch {
	case !ValidName(s.Name) || s.New == nil:
		reply(Attached{Err: fmt.Errorf("supervisor: attach to %s: %q needs a name of [a-z0-9._-] and a New", c.Self().Id, s.Name)})
	case g.find(s.Name) >= 0:
		reply(Attached{Err: fmt.Errorf("supervisor: attach to %s: the name %q is in use", c.Self().Id, s.Name)})
	case g.running(c, s.Name):
		g.pending = append(g.pending, pendingAttach{s, from})
	default:
		g.specs = append(g.specs, s)
		reply(Attached{PID: Spawn(c, s)})
	}
}

func (g *group) detach(c actor.Context, name string) {
	i := g.find(name)
	if i < 0 {
		return
	}
	g.specs = slices.Delete(g.specs, i, i+1)
	of(c).cell.host.forget(c.Self().Id + "/" + name)
	if g.running(c, name) {
		c.Stop(c.ActorSystem().NewLocalPID(c.Self().Id + "/" + name))
	}
}

func (g *group) terminated(c actor.Context, id string) {
	g.drained(c, id)
	name := nameOf(id)
	if i := g.find(name); i >= 0 && !of(c).cell.host.isFailed(id) {
		g.specs = slices.Delete(g.specs, i, i+1)
	}
	for i, p := range g.pending {
		if p.spec.Name == name {
			g.pending = slices.Delete(g.pending, i, i+1)
			g.attach(c, p.spec, p.from)
			return
		}
	}
}

func (g *group) drain(c actor.Context, m Drain) {
	if from := c.Sender(); from != nil {
		g.drains = append(g.drains, from)
	}
	if g.waiting == nil {
		g.waiting = make(map[string]bool)
	}
	host := of(c).cell.host
	for _, pid := range slices.Clone(c.Children()) {
		if child := host.lookup(pid.Id); child != nil && child.drainable() {
			g.waiting[pid.Id] = true
			c.Request(pid, m)
		}
	}
	g.settle(c)
}

func (g *group) drained(c actor.Context, id string) {
	delete(g.waiting, id)
	g.settle(c)
}

func (g *group) settle(c actor.Context) {
	if len(g.waiting) > 0 {
		return
	}
	for _, pid := range g.drains {
		c.Send(pid, Drained{From: c.Self()})
	}
	g.drains = nil
}

// drainable reports whether the actor would answer a Drain: a failed one would
// not.
func (c *cell) drainable() bool {
	switch c.state.Load() {
	case stateSuspended, stateBackingOff, stateStopping, stateGone:
		return false
	}
	return true
}

// isFailed reports whether Isolate stopped the actor of that path.
func (h *host) isFailed(path string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	_, ok := h.failed[path]
	return ok
}

// forget removes a failed child from the registry.
func (h *host) forget(path string) {
	h.mu.Lock()
	delete(h.failed, path)
	h.mu.Unlock()
}
