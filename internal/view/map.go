package view

import (
	"iter"
	"maps"
	"sync/atomic"
)

// Map is a snapshot map. One goroutine at a time may call Set, SetAll,
// Delete and Clear; Get, Len and All may be called from any goroutine at any time and see
// one consistent snapshot. A change copies the map, so it suits maps that are
// read far more often than written. The zero Map is empty and ready.
type Map[K comparable, V any] struct {
	snapshot atomic.Pointer[map[K]V]
}

// Get returns the value of k.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if s := m.snapshot.Load(); s != nil {
		v, ok = (*s)[k]
	}
	return v, ok
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int {
	if s := m.snapshot.Load(); s != nil {
		return len(*s)
	}
	return 0
}

// All iterates over one snapshot, in no order.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		s := m.snapshot.Load()
		if s == nil {
			return
		}
		for k, v := range *s {
			if !yield(k, v) {
				return
			}
		}
	}
}

// Set writes one entry.
func (m *Map[K, V]) Set(k K, v V) {
	next := m.copy(1)
	next[k] = v
	m.snapshot.Store(&next)
}

// SetAll writes many entries with one copy.
func (m *Map[K, V]) SetAll(entries map[K]V) {
	next := m.copy(len(entries))
	maps.Copy(next, entries)
	m.snapshot.Store(&next)
}

// Delete removes one entry and reports whether it was there.
func (m *Map[K, V]) Delete(k K) bool {
	if _, ok := m.Get(k); !ok {
		return false
	}
	next := m.copy(0)
	delete(next, k)
	m.snapshot.Store(&next)
	return true
}

// Clear removes all entries and returns what was there.
func (m *Map[K, V]) Clear() map[K]V {
	if s := m.snapshot.Swap(nil); s != nil {
		return *s
	}
	return nil
}

func (m *Map[K, V]) copy(more int) map[K]V {
	s := m.snapshot.Load()
	if s == nil {
		return make(map[K]V, more)
	}
	next := make(map[K]V, len(*s)+more)
	maps.Copy(next, *s)
	return next
}
