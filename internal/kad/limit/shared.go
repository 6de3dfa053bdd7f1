package limit

import "github.com/gamelan-p2p/gamelan/internal/queue"

// shared remembers values by key, up to a limit, which groups share. When it is full, the group
// that has most loses the value that was not used for the longest time. Of groups with as many,
// the one whose oldest value is older loses it.
//
// A value that is kept goes last: at most half of all are kept, and at most [keptPerGroup] of a
// group, as [Weight] counts.
type shared[K comparable, V any] struct {
	limit int
	items map[K]*holding[K, V]
	plain pool[K, V] // of what makes way
	kept  pool[K, V] // of what goes last
	count uint64     // of uses
}

// Shares of a group.
const (
	keptPerGroup = 64
	exemptShare  = 64
)

// holding is a value with its place.
type holding[K comparable, V any] struct {
	key            K
	value          V
	group          string
	kept           bool
	used           uint64
	previous, next *holding[K, V]
}

// share is what a group has in a pool, oldest first.
type share[K comparable, V any] struct {
	group string
	n     int
	ends  holding[K, V] // next is the oldest, previous the newest
	place int
}

// pool is the shares of all groups, the one that loses a value next first.
type pool[K comparable, V any] struct {
	n      int
	groups map[string]*share[K, V]
	queue  queue.Queue[*share[K, V]]
}

func newPool[K comparable, V any]() pool[K, V] {
	return pool[K, V]{groups: make(map[string]*share[K, V]), queue: queue.New((*share[K, V]).before, func(s *share[K, V]) *int { return &s.place })}
}

func newShared[K comparable, V any](limit int) *shared[K, V] {
	return &shared[K, V]{limit: max(1, limit), items: make(map[K]*holding[K, V]), plain: newPool[K, V](), kept: newPool[K, V]()}
}

// Weight returns how much of its share a group has used that has n of something. The group ""
// is that of all addresses without a group ([kad.Address.Group]), and has a larger share.
func Weight(group string, n int) int {
	if group == "" {
		return n / exemptShare
	}
	return n
}

func (s *share[K, V]) weight() int { return Weight(s.group, s.n) }

func (s *share[K, V]) before(o *share[K, V]) bool {
	if a, b := s.weight(), o.weight(); a != b {
		return a > b
	}
	return s.ends.next.used < o.ends.next.used
}

func (s *shared[K, V]) len() int { return len(s.items) }

// get returns the value of a key, without using it, and nil if there is none.
func (s *shared[K, V]) get(key K) *V {
	if h := s.items[key]; h != nil {
		return &h.value
	}
	return nil
}

// use returns the value of a key, which is now the newest one of its group. A new one is zero,
// and belongs to the group that groupOf returns.
func (s *shared[K, V]) use(key K, groupOf func(K) string) *V {
	s.count++
	h := s.items[key]
	if h == nil {
		if len(s.items) >= s.limit {
			s.delete(s.plain.queue.First().ends.next.key)
		}
		h = &holding[K, V]{key: key, group: groupOf(key)}
		s.items[key] = h
	} else {
		s.pool(h).remove(h)
	}
	h.used = s.count
	s.pool(h).add(h)
	return &h.value
}

// keep has the value of a key, which is now the newest one, go last from now on.
func (s *shared[K, V]) keep(key K) {
	h := s.items[key]
	if h == nil || h.kept || s.limit < 2 {
		return
	}
	if g := s.kept.groups[h.group]; g != nil && g.weight() >= keptPerGroup {
		s.release(g.ends.next)
	} else if s.kept.n >= s.limit/2 {
		s.release(s.kept.queue.First().ends.next)
	}
	s.plain.remove(h)
	s.count++
	h.kept, h.used = true, s.count
	s.kept.add(h)
}

// release has a value make way like others.
func (s *shared[K, V]) release(h *holding[K, V]) {
	s.kept.remove(h)
	h.kept = false
	s.count++
	h.used = s.count
	s.plain.add(h)
}

func (s *shared[K, V]) delete(key K) {
	if h := s.items[key]; h != nil {
		s.pool(h).remove(h)
		delete(s.items, key)
	}
}

func (s *shared[K, V]) pool(h *holding[K, V]) *pool[K, V] {
	if h.kept {
		return &s.kept
	}
	return &s.plain
}

// add puts a value that was just used at the end of its group.
func (p *pool[K, V]) add(h *holding[K, V]) {
	g := p.groups[h.group]
	if g == nil {
		g = &share[K, V]{group: h.group}
		g.ends.previous, g.ends.next = &g.ends, &g.ends
		p.groups[h.group] = g
	}
	h.previous, h.next = g.ends.previous, &g.ends
	h.previous.next, h.next.previous = h, h
	p.n++
	if g.n++; g.n == 1 {
		p.queue.Add(g)
	} else {
		p.queue.Moved(g)
	}
}

func (p *pool[K, V]) remove(h *holding[K, V]) {
	g := p.groups[h.group]
	h.previous.next, h.next.previous = h.next, h.previous
	p.n--
	if g.n--; g.n == 0 { // the order of an empty share is of no account: it leaves
		p.queue.Remove(g)
		delete(p.groups, h.group)
		return
	}
	p.queue.Moved(g)
}
