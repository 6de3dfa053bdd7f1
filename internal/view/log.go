package view

import "sync"

// Log remembers the last values of each of many keys. One goroutine at a time
// may call Add; Get may be called from any. Both limits must be positive. A
// change costs nothing that grows with the number of keys.
type Log[K comparable, V any] struct {
	Keys   int // how many keys are remembered; the one added to longest ago goes
	PerKey int // how many values of each

	mu   sync.RWMutex
	logs map[K]*keyLog[V]
	adds uint64
}

type keyLog[V any] struct {
	ring ring[V]
	last uint64 // which Add it was
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
			l.forgetOne()
		}
		x = new(keyLog[V])
		l.logs[k] = x
	}
	l.adds++
	x.last = l.adds
	for _, v := range values {
		x.ring.add(v, l.PerKey)
	}
}

func (l *Log[K, V]) forgetOne() {
	var oldest K
	least := l.adds + 1
	for k, x := range l.logs {
		if x.last < least {
			oldest, least = k, x.last
		}
	}
	delete(l.logs, oldest)
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
