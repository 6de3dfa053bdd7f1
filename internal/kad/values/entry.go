package values

import (
	"net/netip"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/queue"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// entry is a stored record.
type entry struct {
	record   *overlay.Record
	size     int
	peer     string // who brought it
	group    string // of that peer
	until    time.Time
	cached   bool
	distance overlay.Distance // from this node to the key

	byExpiry, byDistance, bySource, byHolder int // index in the queues
}

// holder is who has a record: the group of IP addresses that it came from, and the peer.
type holder = share.Holder[string]

// holder returns who has the record. A group counts as one source. Who belongs to none is exempt.
func (e *entry) holder() holder {
	net, err := netip.ParsePrefix(e.group)
	if err != nil {
		return holder{Source: share.Exempt, Key: e.peer}
	}
	return holder{Source: share.Of(net.Addr()), Key: e.peer}
}

// rank has the records that make way before or after those of the other rank: cached copies,
// or all others. The farthest record is at the head of each queue.
type rank struct {
	all     queue.Queue[*entry]
	shares  share.Shares[string] // in bytes
	sources map[share.Source]*queue.Queue[*entry]
	holders map[holder]*queue.Queue[*entry]
}

func newRank() rank {
	return rank{
		all:     distanceQueue(func(e *entry) *int { return &e.byDistance }),
		sources: map[share.Source]*queue.Queue[*entry]{}, holders: map[holder]*queue.Queue[*entry]{},
	}
}

func (r *rank) add(e *entry) {
	h := e.holder()
	r.all.Add(e)
	r.shares.Add(h, int64(e.size))
	queueOf(r.sources, h.Source, func(e *entry) *int { return &e.bySource }).Add(e)
	queueOf(r.holders, h, func(e *entry) *int { return &e.byHolder }).Add(e)
}

func (r *rank) remove(e *entry) {
	h := e.holder()
	r.all.Remove(e)
	r.shares.Add(h, -int64(e.size))
	removeOf(r.sources, h.Source, e)
	removeOf(r.holders, h, e)
}

func queueOf[K comparable](all map[K]*queue.Queue[*entry], key K, place func(*entry) *int) *queue.Queue[*entry] {
	q := all[key]
	if q == nil {
		q = new(distanceQueue(place))
		all[key] = q
	}
	return q
}

func removeOf[K comparable](all map[K]*queue.Queue[*entry], key K, e *entry) {
	q := all[key]
	if q.Remove(e); q.Len() == 0 {
		delete(all, key)
	}
}

// victim returns the record that makes way for e, which is of this rank; nil if none does. It is
// farther than e, always (spec: kad 51). Of those it is the farthest, unless another source has
// more than the one that the farthest is from, e counted (spec: V 39). Then it is one of the source
// that has most, first of its key with most. If that is the source of e, nobody else makes way.
func (r *rank) victim(e *entry) *entry {
	far := r.all.First()
	if !farther(far, e) {
		return nil
	}
	own := e.holder()
	r.shares.Add(own, int64(e.size))
	defer r.shares.Add(own, -int64(e.size))
	most, _ := r.shares.Most()
	if r.shares.Weight(most).CompareSources(r.shares.Weight(far.holder())) <= 0 {
		return far
	}
	if q := r.holders[most]; q != nil && farther(q.First(), e) {
		return q.First()
	}
	if q := r.sources[most.Source]; q != nil && farther(q.First(), e) {
		return q.First()
	}
	if most.Source == own.Source {
		return nil
	}
	return far
}

func farther(a, b *entry) bool { return a != nil && a.distance.Compare(b.distance) > 0 }

// expiryQueue has the entry whose life ends first at its head.
func expiryQueue() queue.Queue[*entry] {
	return queue.New(func(a, b *entry) bool { return a.until.Before(b.until) }, func(e *entry) *int { return &e.byExpiry })
}

// distanceQueue has the entry that is farthest from this node at its head.
func distanceQueue(place func(*entry) *int) queue.Queue[*entry] {
	return queue.New(func(a, b *entry) bool { return a.distance.Compare(b.distance) > 0 }, place)
}

// use is what somebody has of a quota.
type use struct{ records, bytes int }

func (u use) fits(size int, q overlay.StoreQuota) bool {
	return u.records+1 <= q.Records && u.bytes+size <= q.Bytes
}

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

func (u uses) fits(name string, size int, q overlay.StoreQuota) bool {
	return name == "" || u[name].fits(size, q)
}

// Stored is a record as the store has it.
type Stored struct {
	Record      *overlay.Record
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
func (s *Store) Find(key overlay.Key) (Stored, bool) {
	e := s.entries[key]
	if e == nil {
		return Stored{}, false
	}
	return e.stored(), true
}

func (e *entry) stored() Stored { return Stored{e.record, e.until, e.peer, e.group, e.cached} }
