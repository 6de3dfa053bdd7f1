package upkeep

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/queue"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Numbers of storing again.
//
// spec: kad B9.3, B9.4
const (
	replicateMost  = time.Hour
	replicateLeast = 5 * time.Minute
	publishMax     = 20 // in a minute
	recordsAtOnce  = 4  // of others, and of this node
	retryFirst     = time.Minute
)

// MaxOwnSeed returns how many records a node of the overlay Seed can publish again within an interval,
// publishMax a minute. Others drop a record a little later than that.
func MaxOwnSeed(every time.Duration) int { return publishMax * int(every/time.Minute) }

// ReplicateEvery returns how often a holder stores a record again, at a half-life of the
// contacts; 0: unknown.
func ReplicateEvery(halfLife time.Duration) time.Duration {
	if halfLife == 0 {
		return replicateMost
	}
	return min(max(halfLife/2, replicateLeast), replicateMost)
}

func (m *Machine) replicateEvery() time.Duration { return ReplicateEvery(m.life.value()) }

// hold plans when a record is stored again, by one of the ways of the schedule.
func (m *Machine) hold(now time.Time, key overlay.Key, plan func(overlay.Key, time.Time)) {
	every := m.replicateEvery()
	plan(key, now.Add(m.around(every, 5)))
	if x := m.held.items[key]; x != nil && !x.running {
		x.since, x.every = now, every
	}
}

// mayReplicate reports whether another record of others may be stored again now. In the
// overlay Seed a holder does not do that.
func (m *Machine) mayReplicate() bool {
	return m.state == overlay.Ready && m.o.Overlay == overlay.Native && len(m.held.running) < recordsAtOnce
}

func (m *Machine) replicate(now time.Time) {
	m.held.expire(now)
	for m.mayReplicate() && m.held.waits(now) {
		m.do(Replicate{m.held.begin(now)})
	}
}

func (m *Machine) mayPublish() bool {
	return m.state == overlay.Ready && len(m.own.running) < recordsAtOnce
}

func (m *Machine) publish(now time.Time) {
	m.own.expire(now)
	for m.mayPublish() && !m.rates.publish.free(now, publishMax).After(now) && m.own.waits(now) {
		m.rates.publish.take(now)
		m.do(Publish{m.own.begin(now)})
	}
}

// published plans the next time. What failed is tried again after a minute, then two, up to
// the usual time.
func (m *Machine) published(now time.Time, e Published) {
	x := m.own.items[e.Key]
	if x == nil {
		return
	}
	after := m.around(m.o.Publish, 10)
	if x.failures++; e.OK {
		x.failures = 0
	} else {
		after = m.around(backoff.Doubled(x.failures, retryFirst, m.o.Publish), 10)
	}
	m.own.ended(e.Key, now.Add(after))
}

// schedule says which record is due when.
type schedule struct {
	items   map[overlay.Key]*item
	due     queue.Queue[*item] // those that wait
	running []*item

	// pace is the time between two beginnings. With one, records begin before they are due when
	// not all of them could begin in time otherwise. 0: none.
	pace  time.Duration
	start time.Time // when the first one has to begin; zero: to be found out
	order []*item   // of the last search for that
}

type item struct {
	key      overlay.Key
	at       time.Time // it is due; while it is running, when that is given up
	running  bool
	later    time.Time // of one that is running: when a newer version is due; zero: there is none
	failures int
	since    time.Time     // it waits, if it is a record of others
	every    time.Duration // the interval at which it was planned then
	place    int
}

func newSchedule() schedule {
	return schedule{items: make(map[overlay.Key]*item), due: queue.New(sooner, func(x *item) *int { return &x.place })}
}

func (s *schedule) len() int { return len(s.items) }

// set plans a record. For one that is being stored the time counts when that has ended.
func (s *schedule) set(key overlay.Key, at time.Time) {
	x := s.items[key]
	switch {
	case x == nil:
		x = &item{key: key, at: at}
		s.items[key] = x
		s.wait(x)
	case !x.running:
		x.at = at
		s.due.Moved(x)
		s.start = time.Time{}
	default:
		x.later = at
	}
}

func (s *schedule) wait(x *item) {
	s.due.Add(x)
	s.start = time.Time{}
}

func (s *schedule) remove(key overlay.Key) {
	x := s.items[key]
	if x == nil {
		return
	}
	s.stop(x)
	delete(s.items, key)
	s.due.Remove(x)
	s.start = time.Time{}
}

// hasten brings forward the records that were planned when the interval was longer:
// contacts live shorter than was known then, and the holders might all be gone by that time.
func (s *schedule) hasten(every time.Duration) {
	for _, x := range s.items {
		if x.running || x.every <= every {
			continue
		}
		waits := x.at.Sub(x.since)
		x.at = x.since.Add(time.Duration(float64(waits) * float64(every) / float64(x.every)))
		x.every = every
		s.due.Moved(x)
	}
}

// waits reports whether a record is to begin now.
func (s *schedule) waits(now time.Time) bool {
	at := s.first()
	return !at.IsZero() && !at.After(now)
}

// begin returns the record that is due first, and counts it as running.
func (s *schedule) begin(now time.Time) overlay.Key {
	x := s.due.First()
	s.due.Remove(x)
	s.start = time.Time{}
	x.running, x.later = true, time.Time{}
	s.running = append(s.running, x)
	x.at = now.Add(lookupLimit)
	return x.key
}

// ended plans a record that was running. If a newer version was put meanwhile, that is due as it
// said, unless the other time is earlier.
func (s *schedule) ended(key overlay.Key, at time.Time) {
	x := s.items[key]
	if x == nil || !x.running {
		return
	}
	x.at = at
	if !x.later.IsZero() && x.later.Before(at) {
		x.at = x.later
	}
	s.stop(x)
}

// stop has a record wait again.
func (s *schedule) stop(x *item) {
	if !x.running {
		return
	}
	x.running = false
	s.running = slices.DeleteFunc(s.running, func(y *item) bool { return x == y })
	s.wait(x)
}

// expire gives up those whose end was never reported: they are due again.
func (s *schedule) expire(now time.Time) {
	for _, x := range slices.Clone(s.running) {
		if !x.at.After(now) {
			s.stop(x)
		}
	}
}

// next returns when the next record begins, or one that is running is given up; zero: never.
func (s *schedule) next() time.Time {
	next := s.first()
	for _, x := range s.running {
		if next.IsZero() || x.at.Before(next) {
			next = x.at
		}
	}
	return next
}

// first returns when the first record that waits has to begin; zero: none waits. It is due then, or
// the records behind it need the time.
func (s *schedule) first() time.Time {
	x := s.due.First()
	switch {
	case x == nil:
		return time.Time{}
	case s.pace == 0:
		return x.at
	case s.start.IsZero():
		s.order = append(s.order[:0], s.due.All()...)
		slices.SortFunc(s.order, func(a, b *item) int { return a.at.Compare(b.at) })
		s.start = x.at
		for i, y := range s.order {
			if at := y.at.Add(-time.Duration(i) * s.pace); at.Before(s.start) {
				s.start = at
			}
		}
		clear(s.order)
	}
	return s.start
}

// sooner orders records: first due first, then by key.
func sooner(a, b *item) bool {
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return a.key.Compare(b.key) < 0
}
