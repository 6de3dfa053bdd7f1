package view

import (
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
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
	mu sync.Mutex
	by lru.Map[K, noticed[V]]
}

type noticed[V any] struct {
	value V
	at    time.Time
}

// Notice has change bring what is remembered of key up to date, which is the zero
// value when nothing is. It reports whether nothing was.
func (r *Recent[K, V]) Notice(now time.Time, key K, change func(*V)) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by.Most = recentKept
	x := r.by.Get(key)
	first = x == nil || now.Sub(x.at) >= RecentQuiet
	if x = r.by.Use(key); first {
		*x = noticed[V]{}
	}
	change(&x.value)
	x.at = now
	return first
}

// Forget takes out what is remembered of key.
func (r *Recent[K, V]) Forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by.Delete(key)
}

// All returns what is remembered at now, what was noticed last first.
func (r *Recent[K, V]) All(now time.Time) []V {
	r.mu.Lock()
	defer r.mu.Unlock()
	values := make([]V, 0, r.by.Len())
	for _, x := range r.by.Newest() {
		if now.Sub(x.at) < RecentQuiet {
			values = append(values, x.value)
		}
	}
	return values
}
