package view

import (
	"context"
	"sync"
	"sync/atomic"
)

// Gate holds a value that may be absent for a while. Readers that need it wait;
// one writer opens and closes the gate. Reading an open gate takes no lock. The
// zero Gate is closed.
type Gate[T any] struct {
	value atomic.Pointer[T] // nil: closed

	mu    sync.Mutex
	ready chan struct{} // closed when the gate opens; nil while nobody waits
}

// Open sets the value and lets the waiting readers through. An open gate gets
// a new value.
func (g *Gate[T]) Open(v T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.value.Store(&v)
	if g.ready != nil {
		close(g.ready)
		g.ready = nil
	}
}

// Close takes the value away: readers wait from now on.
func (g *Gate[T]) Close() { g.value.Store(nil) }

// Get returns the value if the gate is open.
func (g *Gate[T]) Get() (v T, ok bool) {
	if p := g.value.Load(); p != nil {
		return *p, true
	}
	return v, false
}

// Wait returns the value as soon as the gate is open, or ctx's error. An open
// gate lets its readers through even when ctx has ended.
func (g *Gate[T]) Wait(ctx context.Context) (T, error) {
	for {
		v, ready := g.arrive()
		if ready == nil {
			return v, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// arrive returns the value, or a channel that is closed when there may be one.
func (g *Gate[T]) arrive() (T, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.Get()
	if ok {
		return v, nil
	}
	if g.ready == nil {
		g.ready = make(chan struct{})
	}
	return v, g.ready
}
