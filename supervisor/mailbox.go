package supervisor

import (
	"reflect"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// A cell is its actor's mailbox.
var _ actor.Mailbox = (*cell)(nil)

// batchSize is how many messages an activation takes out of the queue at once.
// The lock is taken and the clock read once for each batch.
const batchSize = 32

// slowMessage is the average time for a message of a batch above which the next
// batches hold one message, so that the clock is read for every message.
const slowMessage = 4 * time.Microsecond

// batch is the working set of one activation. Only the turn uses it, except for
// the atomics. It is a separate object so that senders, which write to the cell,
// do not slow down the loop. An idle actor has none.
type batch struct {
	signal atomic.Bool // a system message waits
	left   atomic.Int32
	since  atomic.Int64 // host's clock when the message in hand, or its batch, began
	inHand atomic.Value // reflect.Type of the message in hand

	kind    reflect.Type // the value of inHand
	current any          // message in hand, for the deferred function that recovers
	pos, n  int
	size    int // of the next refill
	msgs    [batchSize]any
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// nilType stands for the type of a nil message.
var nilType = reflect.TypeFor[any]()

// RegisterHandlers links the mailbox to its actor.
func (c *cell) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	ctx := invoker.(actor.Context)
	c.pid = ctx.Self()
	c.current = ctx.Actor().(*wrapper)
	c.current.cell = c
	c.activate = c.run
	c.host.admit(c)
	if c.keeps {
		officeOf(c.host.sys).keeps(c, true)
	}
	c.mu.Lock() // an actor that knew the name may have sent already
	c.invoker = invoker
	c.mu.Unlock()
}

// Start is called when the actor is complete.
func (c *cell) Start() {}

// UserMessageCount returns the number of user messages that wait.
func (c *cell) UserMessageCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.depth()
}

// depth is the number of user messages that wait; mu is held.
func (c *cell) depth() int {
	n := int(c.user.n)
	if c.batch != nil {
		n += int(c.batch.left.Load())
	}
	return n
}

// PostUserMessage puts m, or the elements of a Bundle m, into the queue. It never
// blocks and never refuses; messages after the actor's end go to dead letters.
func (c *cell) PostUserMessage(m any) {
	all, many := m.(*Bundle)
	c.mu.Lock()
	if heir := c.heir; heir != nil {
		c.mu.Unlock()
		heir.PostUserMessage(m)
		return
	}
	if c.closed && !c.kept {
		c.mu.Unlock()
		if !many {
			c.deadLetter(m)
			return
		}
		for _, m := range *all {
			c.deadLetter(m)
		}
		return
	}
	if c.user.n == 0 {
		c.mark, c.markAt = c.taken+1, c.host.nanos()
	}
	if many {
		for _, m := range *all {
			c.user.push(m)
		}
	} else {
		c.user.push(m)
	}
	depth := c.user.n
	if depth > c.high {
		c.high = depth
	}
	linked := c.invoker != nil // until then nothing else of c may be read
	crossed := linked && depth >= c.alarm && !c.alarmed
	if crossed {
		c.alarmed = true
	}
	wake := linked && !c.running && !c.blocked && depth > 0
	if wake {
		c.running = true
	}
	c.mu.Unlock()
	if crossed {
		c.host.deep(c, int(depth))
	}
	if wake {
		c.host.dispatch.Schedule(c.activate)
	}
}

// watch notes who watches the actor. The caller holds mu.
func (c *cell) watch(m any) {
	switch m := m.(type) {
	case *actor.Watch:
		if c.watchers == nil {
			c.watchers = make(map[string]struct{})
		}
		if len(c.watchers) < maxWatchers {
			c.watchers[m.Watcher.GetId()] = struct{}{}
		}
	case *actor.Unwatch:
		delete(c.watchers, m.Watcher.GetId())
	}
}

// maxWatchers bounds how many watchers of an actor are shown.
const maxWatchers = 1000

// PostSystemMessage puts m into the queue of system messages. It goes before the
// other queue, and is served also while the actor is suspended.
func (c *cell) PostSystemMessage(m any) {
	c.mu.Lock()
	c.watch(m)
	c.system.push(m)
	if c.batch != nil {
		c.batch.signal.Store(true)
	}
	wake := !c.running && c.invoker != nil
	if wake {
		c.running = true
	}
	c.mu.Unlock()
	if wake {
		c.host.dispatch.Schedule(c.activate)
	}
}

// run is one activation.
func (c *cell) run() {
	if c.host.world {
		pprof.SetGoroutineLabels(c.labels())
		c.host.watch()
	}
	b := c.attach()
	for c.turn(b) {
	}
}

// attach returns the batch of this activation: a new one, or the one that the last
// activation left when it yielded to other actors.
func (c *cell) attach() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batch != nil {
		return c.batch
	}
	b := batches.Get().(*batch)
	b.size = min(batchSize, c.host.dispatch.Throughput())
	b.since.Store(c.host.nanos())
	b.signal.Store(c.system.n > 0)
	c.batch = b
	return b
}

// detach ends the activation; mu is held.
func (c *cell) detach(b *batch) {
	c.running = false
	c.batch = nil
	b.kind, b.pos, b.n = nil, 0, 0
	b.left.Store(0)
	b.inHand.Store(nilType)
	batches.Put(b)
}

// unload puts the rest of a batch back to the front of the queue. The turn calls it
// and holds mu.
func (c *cell) unload(b *batch) {
	for b.n > b.pos {
		b.n--
		c.user.pushFront(b.msgs[b.n])
		c.taken--
		b.msgs[b.n] = nil
	}
	b.left.Store(0)
}

// turn delivers messages until there are none, or until one panics. It reports
// whether it has to be called again.
func (c *cell) turn(b *batch) (again bool) {
	finished := false
	defer func() {
		if !finished {
			again = c.crashed(b, recover())
		}
	}()
	budget := c.host.dispatch.Throughput()
	for {
		if b.signal.Load() {
			c.deliverSystem(b)
			continue
		}
		if b.pos == b.n {
			switch c.refill(b, budget <= 0) {
			case turnGoesOn:
				budget -= b.n
				continue
			case turnYields:
				finished = true
				c.host.dispatch.Schedule(c.activate)
				return false
			default:
				finished = true
				return false
			}
		}
		msg := b.msgs[b.pos]
		b.msgs[b.pos] = nil
		b.pos++
		b.left.Store(int32(b.n - b.pos))
		c.deliver(b, msg)
		b.current = nil
	}
}

const (
	turnEnds = iota
	turnGoesOn
	turnYields
)

// refill takes the next messages out of the queue, or ends the activation.
func (c *cell) refill(b *batch, tired bool) (next int) {
	now := c.host.nanos()
	spent := now - b.since.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy.Store(c.busy.Load() + spent)
	if b.pos > 0 && spent > int64(b.pos)*int64(slowMessage) {
		b.size = 1
	} else if b.pos > 0 {
		b.size = min(batchSize, c.host.dispatch.Throughput())
	}
	b.since.Store(now)
	c.stuckSeen.Store(false)
	if c.blocked {
		c.unload(b)
	}
	b.pos, b.n = 0, 0
	switch {
	case c.system.n > 0:
		b.signal.Store(true)
		return turnGoesOn
	case c.blocked || c.user.n == 0:
		c.system.release()
		c.detach(b)
		return turnEnds
	case tired:
		return turnYields
	}
	b.n = c.user.popInto(b.msgs[:b.size])
	b.left.Store(int32(b.n))
	c.taken += uint64(b.n)
	if c.taken >= c.mark {
		c.mark, c.markAt = c.taken+uint64(c.user.n), now
	}
	if c.alarmed && c.user.n < c.alarm/2 {
		c.alarmed = false
	}
	return turnGoesOn
}

// deliver hands one user message to the actor.
func (c *cell) deliver(b *batch, msg any) {
	body := msg
	switch m := msg.(type) {
	case *stamped:
		if !c.due(m) {
			discard(m.msg)
			return
		}
		body, msg = m.msg, m.msg
	case *actor.MessageEnvelope:
		body = m.Message
	}
	b.current = msg
	b.show(body)
	switch m := body.(type) {
	case *order:
		m.run(c)
		c.looks.Add(1)
		return
	case Drain:
		if !c.drains {
			c.answerDrain(msg)
			return
		}
	}
	t := c.trace.Load()
	if t != nil {
		t.begin(c, msg, body)
	}
	c.invoker.InvokeUserMessage(msg)
	if t != nil {
		t.end(c, false)
	}
	if f, ok := body.(Finisher); ok {
		c.finish(f)
	}
}

// show publishes the type of the message in hand.
func (b *batch) show(body any) {
	if t := reflect.TypeOf(body); t != b.kind {
		b.kind = t
		if t == nil {
			t = nilType
		}
		b.inHand.Store(t)
	}
}

// due reports whether a stamped message is still wanted.
func (c *cell) due(m *stamped) bool {
	if m.timer != nil && !m.timer.delivered() {
		return false
	}
	return m.gen == c.gen.Load()
}

func (c *cell) finish(f Finisher) {
	defer func() {
		if p := recover(); p != nil {
			c.host.log.Error("finish panicked", labelActor, c.path(), "message", typeName(f), "panic", p)
		}
	}()
	f.Finish()
}

// answerDrain answers for actors that have nothing to drain.
func (c *cell) answerDrain(msg any) {
	if to := actor.UnwrapEnvelopeSender(msg); to != nil {
		c.ctx().Send(to, Drained{From: c.pid})
	}
}

// deliverSystem hands one system message to the actor.
func (c *cell) deliverSystem(b *batch) {
	c.mu.Lock()
	msg, ok := c.system.pop()
	b.signal.Store(c.system.n > 0)
	c.mu.Unlock()
	if !ok {
		return
	}
	switch m := msg.(type) {
	case *order:
		if c.state.Load() == stateGone {
			m.Discard()
			return
		}
		b.current = msg
		b.show(msg)
		c.inSystem = true
		m.run(c)
		c.inSystem = false
		b.current = nil
		return
	case *actor.SuspendMailbox:
		c.suspend(true)
		return
	case *actor.ResumeMailbox:
		c.suspend(false)
		return
	case *actor.Restart:
		if c.stopping {
			return // would restart an actor that is stopping
		}
		c.state.Store(stateRestarting)
	case *actor.Stop:
		c.stopping = true
		c.suspend(true)
		if c.state.Load() != stateGone {
			c.state.Store(stateStopping)
		}
	}
	b.current = msg
	b.show(msg)
	c.inSystem = true
	c.invoker.InvokeSystemMessage(msg)
	c.inSystem = false
	b.current = nil
}

// suspend stops or resumes the delivery of user messages. A stopping actor is
// never resumed.
func (c *cell) suspend(on bool) {
	c.mu.Lock()
	c.blocked = on || c.stopping || c.closed
	if on && c.batch != nil {
		c.unload(c.batch)
	}
	c.mu.Unlock()
}
