// Package lru remembers values by key, up to a number of keys: for one more, the one that was not
// used for the longest time makes way.
package lru

import "iter"

// Map remembers values by key. The zero value works once Most is set.
type Map[K comparable, V any] struct {
	Most int // keys, at least one

	items map[K]*item[K, V]
	ends  item[K, V] // next is the oldest, previous the newest
}

type item[K comparable, V any] struct {
	key            K
	value          V
	previous, next *item[K, V]
}

// New returns an empty Map for at most that many keys.
func New[K comparable, V any](most int) *Map[K, V] { return &Map[K, V]{Most: most} }

// Len returns how many keys are remembered.
func (m *Map[K, V]) Len() int { return len(m.items) }

// Get returns the value of a key, without using it, and nil if there is none.
func (m *Map[K, V]) Get(key K) *V {
	if it := m.items[key]; it != nil {
		return &it.value
	}
	return nil
}

// Use returns the value of a key, which is now the newest one. A new one is zero.
func (m *Map[K, V]) Use(key K) *V {
	it := m.items[key]
	if it != nil {
		it.unlink()
	} else {
		it = m.make(key)
	}
	m.link(it)
	return &it.value
}

// Keep returns the value of a key. A new one is zero and the newest; one that is there keeps its
// place.
func (m *Map[K, V]) Keep(key K) *V {
	it := m.items[key]
	if it == nil {
		it = m.make(key)
		m.link(it)
	}
	return &it.value
}

// make adds an item, for which the oldest makes way.
func (m *Map[K, V]) make(key K) *item[K, V] {
	if m.items == nil {
		m.items = make(map[K]*item[K, V])
		m.ends.previous, m.ends.next = &m.ends, &m.ends
	}
	if len(m.items) >= max(1, m.Most) {
		m.Delete(m.ends.next.key)
	}
	it := &item[K, V]{key: key}
	m.items[key] = it
	return it
}

// link makes an item the newest.
func (m *Map[K, V]) link(it *item[K, V]) {
	it.previous, it.next = m.ends.previous, &m.ends
	it.previous.next, it.next.previous = it, it
}

// Oldest returns the key and value that make way next.
func (m *Map[K, V]) Oldest() (key K, value *V, ok bool) {
	if len(m.items) == 0 {
		return key, nil, false
	}
	return m.ends.next.key, &m.ends.next.value, true
}

// Newest iterates over all keys and values, the newest first. The loop must not change the Map.
func (m *Map[K, V]) Newest() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		if len(m.items) == 0 {
			return
		}
		for it := m.ends.previous; it != &m.ends && yield(it.key, &it.value); it = it.previous {
		}
	}
}

// Delete forgets a key.
func (m *Map[K, V]) Delete(key K) {
	if it := m.items[key]; it != nil {
		it.unlink()
		delete(m.items, key)
	}
}

func (it *item[K, V]) unlink() { it.previous.next, it.next.previous = it.next, it.previous }
