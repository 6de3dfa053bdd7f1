package view

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// RecentQuiet is how long a [Recent] remembers a key after the last notice.
	RecentQuiet = 10 * time.Minute
	// recentKept bounds how many keys it remembers.
	recentKept = 64
)

// Recent remembers what was noticed of late, by a key: for [RecentQuiet], and at
// most 64 keys, those noticed last. Unlike the other views it has several writers;
// each call is one step.
type Recent[K comparable, V any] struct {
	mu   sync.Mutex
	turn uint64
	by   map[K]*noticed[V]
}

type noticed[V any] struct {
	value V
	at    time.Time
	turn  uint64 // grows with each notice
}

// Notice has change bring what is remembered of key up to date, which is the zero
// value when nothing is. It reports whether nothing was.
func (r *Recent[K, V]) Notice(now time.Time, key K, change func(*V)) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.by[key]
	if x == nil || now.Sub(x.at) >= RecentQuiet {
		r.makeRoom(key)
		x, first = new(noticed[V]), true
		r.by[key] = x
	}
	change(&x.value)
	r.turn++
	x.at, x.turn = now, r.turn
	return first
}

// makeRoom forgets key, and when there are too many what was noticed longest ago.
func (r *Recent[K, V]) makeRoom(key K) {
	if r.by == nil {
		r.by = make(map[K]*noticed[V])
	}
	delete(r.by, key)
	if len(r.by) < recentKept {
		return
	}
	oldest := key
	for k, x := range r.by {
		if old := r.by[oldest]; old == nil || x.turn < old.turn {
			oldest = k
		}
	}
	delete(r.by, oldest)
}

// Forget takes out what is remembered of key.
func (r *Recent[K, V]) Forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, key)
}

// All returns what is remembered at now, what was noticed last first.
func (r *Recent[K, V]) All(now time.Time) []V {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*noticed[V]
	for _, x := range r.by {
		if now.Sub(x.at) < RecentQuiet {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *noticed[V]) int { return cmp.Compare(b.turn, a.turn) })
	values := make([]V, len(list))
	for i, x := range list {
		values[i] = x.value
	}
	return values
}
