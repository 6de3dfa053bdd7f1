package view

import (
	"container/list"
	"sync"
)

// Log remembers the last values of each of many keys. One goroutine at a time
// may call Add; Get may be called from any. Both limits must be positive. A
// change costs nothing that grows with the number of keys.
type Log[K comparable, V any] struct {
	Keys   int // how many keys are remembered; the least recently added to is dropped first
	PerKey int // how many values of each key are remembered

	mu   sync.RWMutex
	logs map[K]*keyLog[V]
	keys list.List // of K, the least recently added to first
}

type keyLog[V any] struct {
	ring  ring[V]
	place *list.Element // in Log.keys
}

// Add remembers values of k, the oldest first.
func (l *Log[K, V]) Add(k K, values ...V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.logs[k]
	if x == nil {
		if l.logs == nil {
			l.logs = make(map[K]*keyLog[V])
		}
		if len(l.logs) >= l.Keys {
			oldest := l.keys.Front()
			delete(l.logs, l.keys.Remove(oldest).(K))
		}
		x = &keyLog[V]{place: l.keys.PushBack(k)}
		l.logs[k] = x
	}
	l.keys.MoveToBack(x.place)
	for _, v := range values {
		x.ring.add(v, l.PerKey)
	}
}

// Get returns the values of k, the oldest first, for the caller to keep; ok is
// false when there are none.
func (l *Log[K, V]) Get(k K) (values []V, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	x := l.logs[k]
	if x == nil {
		return nil, false
	}
	return x.ring.list(), true
}

// Len returns how many keys are remembered.
func (l *Log[K, V]) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.logs)
}
