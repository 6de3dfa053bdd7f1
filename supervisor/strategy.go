package supervisor

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// strategy applies the parent's policy. It has no state: the budgets are kept
// with the children. It runs in the parent's turn.
type strategy struct{}

var _ actor.SupervisorStrategy = strategy{}

// HandleFailure decides about one failed child.
func (strategy) HandleFailure(sys *actor.ActorSystem, s actor.Supervisor, who *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	parent := s.(actor.Context).Actor().(*wrapper).cell
	child := parent.host.lookup(who.Id)
	if child == nil || child.parent != parent { // not spawned by Spawn
		actor.DefaultSupervisorStrategy().HandleFailure(sys, s, who, rs, reason, message)
		return
	}
	cause, ok := reason.(*PanicError)
	if !ok {
		cause = &PanicError{Value: reason, Msg: "unknown", Path: who.Id}
	}
	if parent.current.over || child.state.Load() == stateGone {
		if cause.Value != errByHand { //nolint:errorlint // the value itself
			child.decided(nil, cause, Stops, 0)
		}
		return // the child stops together with its parent
	}
	parent.childFailed(s, child, cause)
}

func (c *cell) childFailed(s actor.Supervisor, child *cell, cause *PanicError) {
	p := *c.policy
	child.mu.Lock()
	last := child.failureRecord().crash
	child.failures.crash = crash{}
	child.mu.Unlock()
	switch {
	case last.byHand:
		s.RestartChildren(child.pid)
		return
	case last.renew:
		child.decided(last.source, cause, Restarts, 0)
		s.RestartChildren(child.pid)
		return
	case p.Action == stopTree:
		child.decided(last.source, cause, Stops, 0)
		c.current.inner.(*top).stop(c.ctx(), stopRequest{cause: cause})
		return
	case child.onPanic == StopOnPanic && p.Action == Isolate:
		child.decided(last.source, cause, Stops, 0)
		c.isolate(s, child, cause, 0)
		return
	case child.onPanic == StopOnPanic, p.Action == Temporary:
		child.decided(last.source, cause, Stops, 0)
		s.StopChildren(child.pid)
		return
	}
	now := c.host.rt.Now()
	child.mu.Lock()
	t := child.failureRecord()
	wait, ok := t.budget.charge(p, now, c.current.random().Float64())
	if ok {
		t.next = now.Add(wait)
	}
	child.mu.Unlock()
	switch {
	case ok:
		child.decided(last.source, cause, Restarts, wait)
	case p.Action == Isolate:
		child.decided(last.source, cause, Stops, p.Retry)
	default:
		child.decided(last.source, cause, Stops, 0)
	}
	switch {
	case ok && wait == 0:
		s.RestartChildren(child.pid)
	case ok:
		child.state.Store(stateBackingOff)
		incarnation := child.incarnation.Load()
		c.current.after(wait, 0, &order{run: func(c *cell) { c.restartDue(child, incarnation) }})
	case p.Action == Isolate:
		c.isolate(s, child, cause, p.Retry)
	default:
		c.host.log.Error("restart budget spent", labelActor, child.path(), "parent", c.path(), "max", p.Max, "within", p.Within)
		c.escalate(s, cause)
	}
}

// restartDue ends the wait of a delayed restart.
func (c *cell) restartDue(child *cell, incarnation uint32) {
	if !c.current.over && c.host.lookup(child.path()) == child && child.incarnation.Load() == incarnation && child.state.Load() == stateBackingOff {
		c.invoker.(actor.Supervisor).RestartChildren(child.pid)
	}
}

// escalate makes this actor fail with its child's cause.
func (c *cell) escalate(s actor.Supervisor, cause *PanicError) {
	c.mu.Lock()
	t := c.failureRecord()
	t.last, t.at = cause, c.host.rt.Now()
	c.mu.Unlock()
	c.byHand.Store(false)
	c.current.failed = true
	c.current.end()
	c.state.Store(stateSuspended)
	c.suspend(true)
	s.EscalateFailure(cause, nil)
}

// isolate stops a child whose restart budget is spent.
func (c *cell) isolate(s actor.Supervisor, child *cell, cause *PanicError, retry time.Duration) {
	name := nameOf(child.path())
	if child.onPanic == Supervised { // otherwise Options.Panicked was called
		c.host.log.Error("actor isolated", labelActor, child.path(), "retry", retry)
	}
	var due time.Time
	if retry > 0 {
		due = c.host.rt.Now().Add(retry)
	}
	c.host.keepFailed(child, due)
	s.StopChildren(child.pid)
	c.post(c.current.gen, ChildFailed{Name: name, Err: cause})
	if retry > 0 {
		c.current.after(retry, 0, &order{run: func(c *cell) { c.retryDue(name, due) }})
	}
}

// retryDue sends RetryDue, once the child has ended. It does nothing if the child was spawned again since, by hand.
func (c *cell) retryDue(name string, due time.Time) {
	if !c.host.waitsUntil(c.path()+"/"+name, due) {
		return
	}
	if c.host.lookup(c.path()+"/"+name) == nil {
		c.post(c.current.gen, RetryDue{Name: name})
		return
	}
	x := c.current.extra()
	if x.retry == nil {
		x.retry = make(map[string]bool)
	}
	x.retry[name] = true
}

// Forget removes a child that Isolate has stopped from the tree's figures. A parent
// calls it when it will not spawn the child again.
func Forget(c actor.Context, name string) { of(c).cell.host.forgetOne(c.Self().Id + "/" + name) }

// childGone forgets a child that has ended. It reports whether a RetryDue waited
// for that end, and whether the child was stopped by hand.
func (c *cell) childGone(who *actor.PID) (retry, byHand bool) {
	if child := c.host.lookup(who.Id); child != nil && child.parent == c {
		byHand = child.asked != nil && child.asked.stopped
		c.host.remove(child)
	}
	if x := c.current.extras; x != nil && x.retry != nil {
		name := nameOf(who.Id)
		retry = x.retry[name] && !c.current.over
		delete(x.retry, name)
	}
	return retry, byHand
}

// Spawn starts a child of c and returns its PID. It panics when the name is in use,
// or when c's actor was not itself made by Spawn. A name is free again when c has
// received the child's Terminated. When c's actor is stopping, Spawn starts nothing
// and returns the PID of an actor that has ended.
func Spawn(c actor.Context, s Spec) *actor.PID { return of(c).spawn(c, s) }

func (w *wrapper) spawn(c actor.Context, s Spec) *actor.PID {
	if !ValidName(s.Name) {
		panic(fmt.Sprintf("supervisor: Spawn in %s: the name %q is not of [a-z0-9._-]", c.Self().Id, s.Name))
	}
	if w.over {
		return c.ActorSystem().NewLocalPID(c.Self().Id + "/" + s.Name)
	}
	pid, err := w.cell.host.spawn(c, w.cell, s)
	if err != nil {
		panic(err.Error())
	}
	return pid
}
