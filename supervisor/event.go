package supervisor

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// EventsHeld is how many events an actor that has failed keeps in its mailbox
// until its next incarnation starts.
const EventsHeld = 4096

// Subscribe delivers every later Publish of an E below the same Root to c's actor
// as an ordinary message, until the incarnation ends. Each subscriber receives
// the events of one publisher in order. E is a concrete type.
//
// After a failure the subscription lasts until the next incarnation's Started has
// returned. Started subscribes again to the types that the actor still needs.
// Events published in between, also during a back-off, wait in the mailbox and
// arrive once, in order. At most [EventsHeld] wait there; later ones are dropped,
// counted in [Info].EventsMissed and logged once the actor has started. So Started
// should read the present state where it can, and not rely on events alone. When
// the actor is not restarted, the subscription ends with it.
func Subscribe[E any](c actor.Context) { of(c).subscribe(reflect.TypeFor[E]()) }

// Publish sends event to all actors that have subscribed to its type. An event has
// many readers, so it must not own anything.
func Publish(c actor.Context, event any) { of(c).cell.host.publish(event) }

// topics holds the subscriptions by type, oldest first. A list is replaced, never
// changed.
type topics map[reflect.Type][]*subscription

// subscription is the subscription of one actor to one type of events. It
// outlives a failed incarnation, so that a restart loses no event and delivers
// none twice.
type subscription struct {
	cell  *cell
	event reflect.Type
	gen   uint64 // of the last incarnation that subscribed; owned by the cell's turn
	over  atomic.Bool
}

func (w *wrapper) subscribe(t reflect.Type) {
	if t.Kind() == reflect.Interface {
		panic(fmt.Sprintf("supervisor: Subscribe[%v]: events are found by their concrete type", t))
	}
	if w.over {
		return
	}
	c := w.cell
	if i := slices.IndexFunc(c.hears, func(s *subscription) bool { return s.event == t }); i >= 0 {
		c.hears[i].gen = w.gen
		return
	}
	s := &subscription{cell: c, event: t, gen: w.gen}
	c.hears = append(c.hears, s)
	h := c.host
	h.subscribers.Lock()
	defer h.subscribers.Unlock()
	if h.topics == nil {
		h.topics = make(topics)
	}
	list := h.topics[t]
	h.topics[t] = append(slices.Clip(list), s)
}

// unsubscribe ends the subscriptions that the incarnation gen has not made or
// renewed. With gen 0 it ends all. It runs in the cell's turn.
func (c *cell) unsubscribe(gen uint64) {
	ends := func(s *subscription) bool { return gen == 0 || s.gen != gen }
	if !slices.ContainsFunc(c.hears, ends) {
		return
	}
	h := c.host
	h.subscribers.Lock()
	defer h.subscribers.Unlock()
	for _, s := range c.hears {
		if !ends(s) {
			continue
		}
		s.over.Store(true)
		list := slices.DeleteFunc(slices.Clone(h.topics[s.event]), func(x *subscription) bool { return x == s })
		if len(list) == 0 {
			delete(h.topics, s.event)
		} else {
			h.topics[s.event] = list
		}
	}
	c.hears = slices.DeleteFunc(c.hears, ends)
}

// postEvent puts an event into the mailbox. It drops the event when EventsHeld wait
// there already for an incarnation that has not started.
func (c *cell) postEvent(event any) {
	if c.gen.Load() == 0 && c.heldEvents.Add(1) > EventsHeld {
		c.missed.Add(1)
		return
	}
	c.PostUserMessage(event)
}

// logMissed logs how many events were dropped before the incarnation started.
func (c *cell) logMissed() {
	if n := c.heldEvents.Swap(0) - EventsHeld; n > 0 {
		safely(func() {
			c.host.log.Warn("events missed", labelActor, c.path(), "n", n, "limit", EventsHeld)
		})
	}
}

func (h *host) publish(event any) {
	if f := h.options.Published; f != nil {
		if p := safely(func() { f(event) }); p != nil {
			h.log.Error("Options.Published panicked", "event", typeName(event), "panic", p)
		}
	}
	h.subscribers.RLock()
	list := h.topics[reflect.TypeOf(event)]
	h.subscribers.RUnlock()
	for _, s := range list {
		if !s.over.Load() {
			s.cell.postEvent(event)
		}
	}
}
