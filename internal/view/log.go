package view

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// Log remembers the last values of each of many keys. One goroutine at a time
// may call Add; Get may be called from any. Both limits must be positive. A
// change costs nothing that grows with the number of keys.
type Log[K comparable, V any] struct {
	Keys   int // how many keys are remembered; the least recently added to is dropped first
	PerKey int // how many values of each key are remembered

	mu   sync.RWMutex
	logs lru.Map[K, ring[V]]
}

// Add remembers values of k, the oldest first.
func (l *Log[K, V]) Add(k K, values ...V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs.Most = l.Keys
	x := l.logs.Use(k)
	for _, v := range values {
		x.add(v, l.PerKey)
	}
}

// Get returns the values of k, the oldest first, for the caller to keep; ok is
// false when there are none.
func (l *Log[K, V]) Get(k K) (values []V, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	x := l.logs.Get(k)
	if x == nil {
		return nil, false
	}
	return x.list(), true
}

// Len returns how many keys are remembered.
func (l *Log[K, V]) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.logs.Len()
}
