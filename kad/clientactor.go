package kad

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// clientActor is the parent of a client's actors. It keeps the mode and the events.
//
// In: gatewayStarted, setMode, happened, firstEvent, awaitEvents, finished, Drain, Drained. Out: modeSet,
// eventsRead, finish, Drain to the gateways, Drained. A restart loses nothing.
//
// spec: kad B13
type clientActor struct {
	x    *core
	full time.Time // the last StoreFull

	started map[*gate]bool // gateways; upkeep begins when all have
	upkeep  bool           // it has begun

	drains    []*actor.PID // they wait for the end of the work
	finishing map[string]bool
	flushing  bool // the gateways were asked to send what they have taken
	flushed   bool
}

type (
	// gatewayStarted: a gateway takes requests.
	gatewayStarted struct{ gate *gate }
	// gatewaysDue: those that have not started are not waited for.
	gatewaysDue struct{}

	// happened is an event of one of the client's actors.
	happened struct{ event Event }

	setMode struct{ mode Mode }
	modeSet struct{}

	// awaitEvents asks for the events with numbers from from. Reply: eventsRead, when there
	// are some.
	awaitEvents struct{ from uint64 }
	eventsRead  struct {
		events []Event
		next   uint64
		closed bool
	}
	// firstEvent asks for the number of the next event. Reply: eventsRead without events.
	firstEvent struct{}

	// finish asks a child to end its work, and to write what is not on the disk. Reply:
	// finished.
	finish   struct{}
	finished struct{ name string }
)

func newClientActor(x *core) actor.Actor {
	return &clientActor{x: x, started: make(map[*gate]bool)}
}

func (a *clientActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case gatewayStarted:
		if len(a.started) == 0 {
			supervisor.After(c, startWithin, gatewaysDue{})
		}
		a.started[m.gate] = true
		if len(a.started) == len(a.x.gates) {
			a.maintain(c)
		}
	case gatewaysDue:
		a.maintain(c)
	case happened:
		a.happened(c, m.event)
	case setMode:
		if Mode(a.x.mode.Swap(uint32(m.mode))) != m.mode {
			for _, g := range a.x.gates {
				c.Send(g.pid, ModeSet{m.mode})
			}
			a.happened(c, Event{Kind: ModeChanged, Mode: m.mode})
		}
		supervisor.Reply(c, modeSet{})
	case awaitEvents:
		a.await(c, m)
	case firstEvent:
		supervisor.Reply(c, eventsRead{next: a.x.events.next()})
	case supervisor.Drain:
		a.drain(c)
	case finished:
		a.finished(c, m)
	case supervisor.Drained:
		a.flushed = true
		a.settle(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *clientActor) start(c actor.Context) {
	x := a.x
	gates := make([]supervisor.Spec, len(x.gates))
	for i, g := range x.gates {
		gates[i] = supervisor.Spec{
			Name: strconv.Itoa(i), Kind: "kadGateway", New: func() actor.Actor { return newGateway(g) }, Drains: true, Alarm: MaxRequests + MaxAnswers,
		}
	}
	lookups := x.child("lookups", "kadLookups", newLookups)
	lookups.Children = supervisor.Policy{Action: supervisor.Temporary}
	for _, s := range []supervisor.Spec{
		x.child("table", "kadTable", newTableActor),
		x.child("store", "kadStore", newStoreActor),
		lookups,
		{Name: "gateways", Kind: "group", New: supervisor.Group(gates...), Children: policy},
	} {
		supervisor.Spawn(c, s)
	}
}

// startWithin is how long upkeep waits for the other gateways when one has started.
const startWithin = time.Second

// maintain spawns upkeep, once every gateway has started: it asks them at once, and what is asked of
// an actor that does not exist yet counts as lost.
func (a *clientActor) maintain(c actor.Context) {
	if a.upkeep || a.finishing != nil {
		return
	}
	a.upkeep = true
	supervisor.Spawn(c, a.x.child("upkeep", "kadUpkeep", newUpkeepActor))
}

// child describes an actor below the client's.
func (x *core) child(name, kind string, new func(*core) actor.Actor) supervisor.Spec {
	return supervisor.Spec{Name: name, Kind: kind, New: func() actor.Actor { return new(x) }}
}

func (a *clientActor) happened(c actor.Context, e Event) {
	if e.Kind == StoreFull {
		now := supervisor.Now(c)
		if !a.full.IsZero() && now.Sub(a.full) < time.Minute {
			return
		}
		a.full = now
	}
	e.At = supervisor.Wall(c)
	l := &a.x.events
	l.add(e)
	for _, w := range l.waiting {
		c.Send(w.to, eventsRead{events: l.since(w.from), next: l.next()})
	}
	l.waiting = nil
}

// maxEventReaders is how many may wait for events at a time.
const maxEventReaders = 64

func (a *clientActor) await(c actor.Context, m awaitEvents) {
	l := &a.x.events
	if a.x.closing.Load() {
		supervisor.Reply(c, eventsRead{closed: true})
		return
	}
	if list := l.since(m.from); len(list) > 0 {
		supervisor.Reply(c, eventsRead{events: list, next: l.next()})
		return
	}
	if len(l.waiting) >= maxEventReaders { // the oldest has probably given up; if not, it asks again
		c.Send(l.waiting[0].to, eventsRead{next: l.waiting[0].from})
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, eventWaiter{c.Sender(), m.from})
}

// drain ends the work of the children: they write what is not on the disk yet, and then send
// what has not left yet.
func (a *clientActor) drain(c actor.Context) {
	a.x.closing.Store(true)
	if to := c.Sender(); to != nil {
		a.drains = append(a.drains, to)
	}
	l := &a.x.events
	for _, w := range l.waiting {
		c.Send(w.to, eventsRead{closed: true})
	}
	l.waiting = nil
	if a.finishing == nil {
		a.finishing = map[string]bool{"lookups": true, "store": true}
		c.Request(a.x.lookups, finish{})
		c.Request(a.x.store, finish{})
		if a.upkeep {
			a.finishing["upkeep"] = true
			c.Request(a.x.upkeep, finish{})
		}
	}
	a.settle(c)
}

func (a *clientActor) finished(c actor.Context, m finished) {
	delete(a.finishing, m.name)
	a.settle(c)
}

func (a *clientActor) settle(c actor.Context) {
	switch {
	case len(a.finishing) > 0:
		return
	case !a.flushing:
		a.flushing = true
		c.Request(a.x.gateways, supervisor.Drain{Deadline: supervisor.Now(c).Add(flushFor)})
		return
	case !a.flushed:
		return
	}
	for _, to := range a.drains {
		c.Send(to, supervisor.Drained{From: c.Self()})
	}
	a.drains = nil
}

// String is the client's line in the tree.
func (a *clientActor) String() string {
	x := a.x
	return fmt.Sprintf("%s %s %s, %s, %s", x.Overlay, x.modeNow(), x.self.Text(x.idLen())[:8], State(x.state.Load()),
		inspect.Count(uint64(x.view.Load().Len()), "contact"))
}
