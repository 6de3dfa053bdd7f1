package view

import "sync"

// Ring remembers the last Limit values. One goroutine at a time may call Add;
// Last may be called from any goroutine.
type Ring[T any] struct {
	Limit int // not positive: 64

	mu   sync.RWMutex
	ring ring[T]
}

// Add remembers v and forgets the oldest value beyond the limit.
func (r *Ring[T]) Add(v T) {
	limit := r.Limit
	if limit <= 0 {
		limit = 64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.add(v, limit)
}

// Last returns a copy of the remembered values, the oldest first.
func (r *Ring[T]) Last() []T {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ring.list()
}

// ring is a list that grows to a limit and then overwrites its oldest value.
type ring[T any] struct {
	values []T
	oldest int
}

func (r *ring[T]) add(v T, limit int) {
	if len(r.values) < limit {
		r.values = append(r.values, v)
		return
	}
	r.values[r.oldest] = v
	r.oldest = (r.oldest + 1) % len(r.values)
}

func (r *ring[T]) list() []T {
	if len(r.values) == 0 {
		return nil
	}
	return append(append(make([]T, 0, len(r.values)), r.values[r.oldest:]...), r.values[:r.oldest]...)
}
