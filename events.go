package gamelan

import (
	"cmp"
	"context"
	"iter"
	"sync"
	"time"
)

// Event is something that happened in the node.
type Event struct {
	Seq   uint64 // the event's number among all events of the node
	At    time.Time
	Value any // one of the types from PeerConnected to TorServiceUnpublished, what your actors publish, or Lost
}

// Lost reports that a slow reader has missed N events.
type Lost struct{ N uint64 }

// eventRing bounds the events that wait for a slow reader.
const eventRing = 256

// Events iterates over the events of the node, from the beginning of the loop until ctx
// ends or the node stops. A slow reader never delays the node: it misses events, and a
// [Lost] says how many.
func (n *Node) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		s := n.events.subscribe()
		defer n.events.unsubscribe(s)
		for {
			e, ok := s.next(ctx)
			if !ok || !yield(e) {
				return
			}
		}
	}
}

// events distributes the events that the actors publish to its subscribers.
type events struct {
	now func() time.Time

	mu     sync.Mutex
	seq    uint64
	closed bool
	subs   map[*subscriber]struct{}
}

type subscriber struct {
	mu    sync.Mutex
	ring  []Event
	lost  uint64
	ended bool
	ready chan struct{} // holds a token when there may be something to read
}

func newEvents(now func() time.Time) *events {
	return &events{now: now, subs: make(map[*subscriber]struct{})}
}

// publish gives an event to all subscribers. The publishing actor calls it in its own
// turn; it never waits.
func (e *events) publish(value any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	if len(e.subs) == 0 {
		return
	}
	event := Event{e.seq, e.now(), value}
	for s := range e.subs {
		s.put(event)
	}
}

func (e *events) subscribe() *subscriber {
	s := &subscriber{ready: make(chan struct{}, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		s.end()
	} else {
		e.subs[s] = struct{}{}
	}
	return s
}

func (e *events) unsubscribe(s *subscriber) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.subs, s)
}

// await waits until ready returns true. It calls ready at once and after each event. The
// error is ctx's or ErrClosed.
func (e *events) await(ctx context.Context, ready func() bool) error {
	s := e.subscribe() // before the first call of ready, so that no event is missed
	defer e.unsubscribe(s)
	for !ready() {
		if _, ok := s.next(ctx); !ok {
			return cmp.Or(ctx.Err(), ErrClosed)
		}
	}
	return nil
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for s := range e.subs {
		s.end()
	}
}

func (s *subscriber) put(e Event) {
	s.mu.Lock()
	if len(s.ring) == eventRing {
		s.ring = s.ring[1:]
		s.lost++
	}
	s.ring = append(s.ring, e)
	s.mu.Unlock()
	s.wake()
}

func (s *subscriber) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.wake()
}

func (s *subscriber) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// next waits for the next event. It returns false if ctx has ended or there will be no
// more events.
func (s *subscriber) next(ctx context.Context) (Event, bool) {
	for ctx.Err() == nil {
		s.mu.Lock()
		switch {
		case s.lost > 0:
			e := Event{At: s.ring[0].At, Value: Lost{s.lost}}
			s.lost = 0
			s.mu.Unlock()
			return e, true
		case len(s.ring) > 0:
			e := s.ring[0]
			s.ring = s.ring[1:]
			s.mu.Unlock()
			return e, true
		case s.ended:
			s.mu.Unlock()
			return Event{}, false
		}
		s.mu.Unlock()
		select {
		case <-s.ready:
		case <-ctx.Done():
		}
	}
	return Event{}, false
}
