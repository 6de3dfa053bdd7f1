// Package feed gives what happens to many readers, of which a slow one delays nobody.
package feed

import (
	"cmp"
	"context"
	"iter"
	"sync"
)

// Ring bounds the values that wait for a slow reader.
const Ring = 256

// Feed gives what is published to all its readers. A slow reader misses values.
type Feed[E any] struct {
	lost func(before E, n uint64) E // says how many values were missed, in place of those before one

	mu     sync.Mutex
	seq    uint64 // of the last value
	closed bool
	subs   map[*subscriber[E]]struct{}
}

type subscriber[E any] struct {
	mu    sync.Mutex
	ring  []E
	lost  uint64
	ended bool
	ready chan struct{} // holds a token when there may be something to read
}

// New returns a Feed. A reader that was slow gets lost(before, n) first: n values were missed.
func New[E any](lost func(before E, n uint64) E) *Feed[E] {
	return &Feed[E]{lost: lost, subs: make(map[*subscriber[E]]struct{})}
}

// Publish gives what of returns to all readers, and never waits. Seq counts all calls.
func (e *Feed[E]) Publish(of func(seq uint64) E) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	if len(e.subs) == 0 {
		return
	}
	v := of(e.seq)
	for s := range e.subs {
		s.put(v)
	}
}

// Read reports whether there is a reader now.
func (e *Feed[E]) Read() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.subs) > 0
}

// All iterates over what is published from the beginning of the loop until ctx ends or the feed is
// closed.
func (e *Feed[E]) All(ctx context.Context) iter.Seq[E] {
	return func(yield func(E) bool) {
		s := e.subscribe()
		defer e.unsubscribe(s)
		for {
			v, ok := e.next(ctx, s)
			if !ok || !yield(v) {
				return
			}
		}
	}
}

func (e *Feed[E]) subscribe() *subscriber[E] {
	s := &subscriber[E]{ready: make(chan struct{}, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		s.end()
	} else {
		e.subs[s] = struct{}{}
	}
	return s
}

func (e *Feed[E]) unsubscribe(s *subscriber[E]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.subs, s)
}

// Await waits until ready returns true. It calls ready at once, and again after values were
// published. The error is ctx's, or closed if the feed is.
func (e *Feed[E]) Await(ctx context.Context, closed error, ready func() bool) error {
	s := e.subscribe() // before the first call of ready, so that no event is missed
	defer e.unsubscribe(s)
	for !ready() {
		if _, ok := e.next(ctx, s); !ok {
			return cmp.Or(ctx.Err(), closed)
		}
	}
	return nil
}

// Close ends all loops when they have read what waits.
func (e *Feed[E]) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for s := range e.subs {
		s.end()
	}
}

func (s *subscriber[E]) put(e E) {
	s.mu.Lock()
	if len(s.ring) == Ring {
		s.ring = s.ring[1:]
		s.lost++
	}
	s.ring = append(s.ring, e)
	s.mu.Unlock()
	s.wake()
}

func (s *subscriber[E]) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.wake()
}

func (s *subscriber[E]) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// next waits for the next value. It returns false if ctx has ended or there will be no
// more values.
func (e *Feed[E]) next(ctx context.Context, s *subscriber[E]) (v E, ok bool) {
	for ctx.Err() == nil {
		s.mu.Lock()
		switch {
		case s.lost > 0:
			v, s.lost = e.lost(s.ring[0], s.lost), 0
			s.mu.Unlock()
			return v, true
		case len(s.ring) > 0:
			v, s.ring = s.ring[0], s.ring[1:]
			s.mu.Unlock()
			return v, true
		case s.ended:
			s.mu.Unlock()
			return v, false
		}
		s.mu.Unlock()
		select {
		case <-s.ready:
		case <-ctx.Done():
		}
	}
	return v, false
}
