package view

import (
	"context"
	"sync"
)

// Pending counts the operations under way for each key. Any goroutine may use it at
// any time. The zero value is ready.
type Pending[K comparable] struct {
	mu sync.Mutex
	by map[K]*pending
}

type pending struct {
	count int
	over  chan struct{} // closed when count becomes 0
}

// Begin counts one more operation for k. Calling end ends it; a second call does
// nothing.
func (p *Pending[K]) Begin(k K) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = make(map[K]*pending)
	}
	x := p.by[k]
	if x == nil {
		x = &pending{over: make(chan struct{})}
		p.by[k] = x
	}
	x.count++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if x.count--; x.count == 0 {
			delete(p.by, k)
			close(x.over)
		}
	})
}

// Wait waits until nothing is under way for k, or ctx ends.
func (p *Pending[K]) Wait(ctx context.Context, k K) {
	for ctx.Err() == nil {
		p.mu.Lock()
		x := p.by[k]
		p.mu.Unlock()
		if x == nil {
			return
		}
		select {
		case <-x.over:
		case <-ctx.Done():
		}
	}
}
