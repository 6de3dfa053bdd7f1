package store

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/internal/queue"
)

// entry is a stored record.
type entry struct {
	record   *kad.Record
	size     int
	peer     string // who brought it
	group    string // of that peer
	until    time.Time
	cached   bool
	distance kad.Distance // from this node to the key

	byExpiry, byDistance int // index in the queues
}

// expiryQueue has the entry whose life ends first at its head.
func expiryQueue() queue.Queue[*entry] {
	return queue.New(func(a, b *entry) bool { return a.until.Before(b.until) }, func(e *entry) *int { return &e.byExpiry })
}

// distanceQueue has the entry that is farthest from this node at its head.
func distanceQueue() queue.Queue[*entry] {
	return queue.New(func(a, b *entry) bool { return a.distance.Compare(b.distance) > 0 }, func(e *entry) *int { return &e.byDistance })
}

// use is what somebody has of a quota.
type use struct{ records, bytes int }

func (u use) fits(size int, q Quota) bool { return u.records+1 <= q.Records && u.bytes+size <= q.Bytes }

// uses are the uses of many, by name. A name without any has no entry.
type uses map[string]use

func (u uses) add(name string, size int) {
	if name != "" {
		v := u[name]
		u[name] = use{v.records + 1, v.bytes + size}
	}
}

func (u uses) remove(name string, size int) {
	v, ok := u[name]
	if !ok {
		return
	}
	if v = (use{v.records - 1, v.bytes - size}); v.records == 0 {
		delete(u, name)
	} else {
		u[name] = v
	}
}

func (u uses) fits(name string, size int, q Quota) bool { return name == "" || u[name].fits(size, q) }

// Stored is a record as the store has it.
type Stored struct {
	Record      *kad.Record
	Until       time.Time // the end of its life
	Peer, Group string    // who brought it
	Cached      bool
}

// All returns the records in the order of their keys, those whose life has ended included.
func (s *Store) All() []Stored {
	all := make([]Stored, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e.stored())
	}
	slices.SortFunc(all, func(a, b Stored) int { return a.Record.Key.Compare(b.Record.Key) })
	return all
}

// Find returns the record under a key as the store has it, false if there is none.
func (s *Store) Find(key kad.Key) (Stored, bool) {
	e := s.entries[key]
	if e == nil {
		return Stored{}, false
	}
	return e.stored(), true
}

func (e *entry) stored() Stored { return Stored{e.record, e.until, e.peer, e.group, e.cached} }
