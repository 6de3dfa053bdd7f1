package view

import (
	"hash/maphash"
	"iter"
	"maps"
	"math/bits"
	"sync/atomic"
)

// Map is a map for one writer and any number of readers. One goroutine at a time may
// call Set, SetAll, Delete and Clear; Get, Len and All may be called from any
// goroutine at any time and take no lock. The zero Map is empty and ready.
//
// A change copies a bounded number of entries, so that its cost does not grow
// with the map. Each change, SetAll and Clear as well, takes effect at once.
type Map[K comparable, V any] struct {
	table atomic.Pointer[table[K, V]]
}

// table holds up to fewEntries entries in a Go map that never changes: that is the
// quickest to read, and every change makes another one. It holds more entries in
// chains of nodes, found by the hash of the key. A node never changes either; a
// change replaces one chain.
type table[K comparable, V any] struct {
	few map[K]V // or

	seed   maphash.Seed
	n      atomic.Int64
	chains []atomic.Pointer[node[K, V]] // their number is a power of two; nil: few is used
}

type node[K comparable, V any] struct {
	next  *node[K, V]
	hash  uint64
	key   K
	value V
}

const (
	// fewEntries is the number of entries up to which a change copies all of them.
	fewEntries = 64
	// sparse is the number of chains for each entry above which a table shrinks.
	sparse = 8
)

func (t *table[K, V]) len() int {
	if t.chains == nil {
		return len(t.few)
	}
	return int(t.n.Load())
}

func (t *table[K, V]) chain(hash uint64) *atomic.Pointer[node[K, V]] {
	return &t.chains[hash&uint64(len(t.chains)-1)]
}

func (t *table[K, V]) get(k K) (v V, ok bool) {
	if t.chains == nil {
		v, ok = t.few[k]
		return v, ok
	}
	hash := maphash.Comparable(t.seed, k)
	for e := t.chain(hash).Load(); e != nil; e = e.next {
		if e.hash == hash && e.key == k {
			return e.value, true
		}
	}
	return v, false
}

func (t *table[K, V]) all(yield func(K, V) bool) {
	if t.chains == nil {
		for k, v := range t.few {
			if !yield(k, v) {
				return
			}
		}
		return
	}
	for i := range t.chains {
		for e := t.chains[i].Load(); e != nil; e = e.next {
			if !yield(e.key, e.value) {
				return
			}
		}
	}
}

// Get returns the value of k.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if t := m.table.Load(); t != nil {
		return t.get(k)
	}
	return v, false
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int {
	if t := m.table.Load(); t != nil {
		return t.len()
	}
	return 0
}

// All iterates over the entries, in no order. An entry that stays unchanged for the
// whole loop comes exactly once; one that is changed meanwhile comes at most once.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t := m.table.Load(); t != nil {
			t.all(yield)
		}
	}
}

// Set writes one entry.
func (m *Map[K, V]) Set(k K, v V) {
	t := m.table.Load()
	if t == nil || t.chains == nil || t.len() >= len(t.chains) {
		m.SetAll(map[K]V{k: v})
		return
	}
	t.set(k, v)
}

// SetAll writes many entries. It copies all others.
func (m *Map[K, V]) SetAll(entries map[K]V) {
	t := m.table.Load()
	if t == nil {
		t = new(table[K, V])
	}
	m.table.Store(t.with(entries))
}

// with returns a copy of the table with these entries set, and with chains for about
// twice as many entries.
func (t *table[K, V]) with(entries map[K]V) *table[K, V] {
	more := 0
	for k := range entries {
		if _, ok := t.get(k); !ok {
			more++
		}
	}
	n := t.len() + more
	if n <= fewEntries {
		few := make(map[K]V, n)
		t.all(func(k K, v V) bool { few[k] = v; return true })
		maps.Copy(few, entries)
		return &table[K, V]{few: few}
	}
	next := &table[K, V]{seed: maphash.MakeSeed(), chains: make([]atomic.Pointer[node[K, V]], 1<<bits.Len(uint(n)))}
	nodes := make([]node[K, V], 0, n) // one allocation
	put := func(k K, v V) bool {
		hash := maphash.Comparable(next.seed, k)
		c := next.chain(hash)
		nodes = append(nodes, node[K, V]{c.Load(), hash, k, v})
		c.Store(&nodes[len(nodes)-1])
		return true
	}
	t.all(func(k K, v V) bool {
		if _, ok := entries[k]; ok {
			return true
		}
		return put(k, v)
	})
	for k, v := range entries {
		put(k, v)
	}
	next.n.Store(int64(n))
	return next
}

// set writes one entry into its chain.
func (t *table[K, V]) set(k K, v V) {
	hash := maphash.Comparable(t.seed, k)
	c := t.chain(hash)
	rest, found := c.Load().without(hash, k)
	c.Store(&node[K, V]{rest, hash, k, v})
	if !found {
		t.n.Add(1)
	}
}

// without returns the chain without the entry of k.
func (e *node[K, V]) without(hash uint64, k K) (rest *node[K, V], found bool) {
	if e == nil {
		return nil, false
	}
	if e.hash == hash && e.key == k {
		return e.next, true
	}
	rest, found = e.next.without(hash, k)
	if !found {
		return e, false
	}
	return &node[K, V]{rest, e.hash, e.key, e.value}, true
}

// Delete removes one entry and reports whether it was there.
func (m *Map[K, V]) Delete(k K) bool {
	t := m.table.Load()
	if t == nil {
		return false
	}
	if t.chains == nil {
		if _, ok := t.few[k]; !ok {
			return false
		}
		few := maps.Clone(t.few)
		delete(few, k)
		m.table.Store(&table[K, V]{few: few})
		return true
	}
	hash := maphash.Comparable(t.seed, k)
	c := t.chain(hash)
	rest, found := c.Load().without(hash, k)
	if !found {
		return false
	}
	c.Store(rest)
	t.n.Add(-1)
	if n := t.len(); n*sparse < len(t.chains) || n <= fewEntries/2 {
		m.table.Store(t.with(nil))
	}
	return true
}

// Clear removes all entries and returns them.
func (m *Map[K, V]) Clear() map[K]V {
	t := m.table.Swap(nil)
	if t == nil {
		return nil
	}
	was := make(map[K]V, t.len())
	t.all(func(k K, v V) bool { was[k] = v; return true })
	return was
}
