package supervisor

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// Subscribe makes every later Publish of an E below the same Root arrive as an
// ordinary message until the incarnation ends. One publisher's order holds for
// each subscriber. E is a concrete type.
func Subscribe[E any](c actor.Context) { of(c).subscribe(reflect.TypeFor[E]()) }

// Publish sends event to everybody who subscribed its type. An event has many
// readers, so it owns nothing.
func Publish(c actor.Context, event any) { of(c).cell.host.publish(event) }

// topics holds the subscribers by type, oldest first. A list is replaced, never
// changed.
type topics map[reflect.Type][]subscriber

type subscriber struct {
	cell *cell
	gen  uint64
}

func (w *wrapper) subscribe(t reflect.Type) {
	if t.Kind() == reflect.Interface {
		panic(fmt.Sprintf("supervisor: Subscribe[%v]: events are found by their concrete type", t))
	}
	x := w.extra()
	if w.over || slices.Contains(x.events, t) {
		return
	}
	x.events = append(x.events, t)
	h := w.cell.host
	h.subscribers.Lock()
	defer h.subscribers.Unlock()
	if h.topics == nil {
		h.topics = make(topics)
	}
	list := h.topics[t]
	h.topics[t] = append(list[:len(list):len(list)], subscriber{w.cell, w.gen})
}

func (h *host) unsubscribe(c *cell, events []reflect.Type) {
	if len(events) == 0 {
		return
	}
	h.subscribers.Lock()
	defer h.subscribers.Unlock()
	for _, t := range events {
		list := slices.DeleteFunc(slices.Clone(h.topics[t]), func(s subscriber) bool { return s.cell == c })
		if len(list) == 0 {
			delete(h.topics, t)
		} else {
			h.topics[t] = list
		}
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
		if s.cell.gen.Load() == s.gen {
			s.cell.PostUserMessage(event)
		}
	}
}
