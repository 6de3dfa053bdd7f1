package upkeep

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Numbers of refreshing.
//
// spec: kad B5
const (
	rangeEvery  = time.Hour // ± a tenth: a range that no lookup has touched gets one
	refreshMax  = 3         // lookups of ranges in a minute
	selfEvery   = 10 * time.Minute
	selfRelaxed = 30 * time.Minute
	relaxAfter  = 3 // lookups of the own id in a row without a new neighbour
	lossWindow  = 10 * time.Minute
	// haste is how many times more is refreshed while the table shrinks.
	haste = 3
)

// refresh keeps the table complete.
type refresh struct {
	self       time.Time // the next lookup of the own id; zero: not yet
	count      int       // of lookups of the own id
	quiet      int       // in a row without a new neighbour
	neighbours []overlay.ID
	ranges     []span
	flights    []flight
	losses     []time.Time // of the last ten minutes, not made up for, at most as many as matter
}

// span is a range of distances, that of a bucket.
type span struct {
	touched time.Time // by a lookup
	every   time.Duration
	forced  bool // it is due, also if no contact of the range is known
}

// due returns when the range is to be looked up.
func (s span) due(factor int) time.Time {
	if s.forced {
		return s.touched
	}
	return s.touched.Add(s.every / time.Duration(factor))
}

// touched returns a range that has just been looked up.
func (m *Machine) touched(now time.Time) span {
	return span{touched: now, every: m.around(rangeEvery, 10)}
}

// flight is a lookup under way.
type flight struct {
	target overlay.ID
	why    Why
	until  time.Time
}

// maxLosses bounds the memory of losses; more of them always matter.
const maxLosses = 4096

// lost notes that the table lost a contact.
func (f *refresh) lost(now time.Time) {
	f.forget(now)
	if len(f.losses) < maxLosses {
		f.losses = append(f.losses, now)
	}
}

// gained notes that the table got a contact, which makes up for the oldest loss.
func (f *refresh) gained() {
	if len(f.losses) > 0 {
		f.losses = slices.Delete(f.losses, 0, 1)
	}
}

func (f *refresh) forget(now time.Time) {
	old := 0
	for old < len(f.losses) && now.Sub(f.losses[old]) > lossWindow {
		old++
	}
	f.losses = slices.Delete(f.losses, 0, old)
}

// shrinking reports whether the table has become smaller by more than a quarter in ten
// minutes: contacts that others have replaced do not count.
func (f *refresh) shrinking(live int) bool {
	return 4*len(f.losses) > live+len(f.losses) && len(f.losses) > 1
}

// factor is how many times more than usual is refreshed.
func (m *Machine) factor() int {
	if m.fresh.shrinking(m.live) {
		return haste
	}
	return 1
}

// refresh begins the lookups that are due.
func (m *Machine) refresh(now time.Time) {
	f := &m.fresh
	f.flights = slices.DeleteFunc(f.flights, func(x flight) bool {
		if x.until.After(now) {
			return false
		}
		if x.why == ForSelf {
			m.selfEnded(now, nil)
		}
		return true
	})
	if !f.self.IsZero() && !f.self.After(now) {
		f.self = time.Time{}
		m.lookup(now, m.self, ForSelf)
	}
	if m.state != overlay.Ready {
		return
	}
	f.forget(now)
	view := m.o.View()
	for len(f.ranges) < view.Buckets() {
		f.ranges = append(f.ranges, m.touched(now))
	}
	f.ranges = f.ranges[:min(len(f.ranges), max(view.Buckets(), 1))]
	factor := m.factor()
	for {
		at := f.earliest(factor)
		if at < 0 || f.ranges[at].due(factor).After(now) {
			return
		}
		if !f.ranges[at].forced && len(view.Bucket(at)) == 0 {
			f.ranges[at] = m.touched(now)
			continue
		}
		if f.flying(ForRange) >= factor || m.rates.refresh.free(now, refreshMax*factor).After(now) {
			return
		}
		m.rates.refresh.take(now)
		f.ranges[at] = m.touched(now)
		m.lookup(now, m.self.RandomIDInBucket(at, m.o.IDLen, m.o.Rand), ForRange)
	}
}

// earliest returns the range that is due first, and -1 if there is none.
func (f *refresh) earliest(factor int) int {
	at := -1
	for i := range f.ranges {
		if at < 0 || f.ranges[i].due(factor).Before(f.ranges[at].due(factor)) {
			at = i
		}
	}
	return at
}

func (f *refresh) flying(why Why) (n int) {
	for _, x := range f.flights {
		if x.why == why {
			n++
		}
	}
	return n
}

func (m *Machine) lookup(now time.Time, target overlay.ID, why Why) {
	m.fresh.flights = append(m.fresh.flights, flight{target, why, now.Add(lookupLimit)})
	m.do(Lookup{target, why})
}

// lookedUp takes in the end of a lookup.
func (m *Machine) lookedUp(now time.Time, e LookedUp) {
	f := &m.fresh
	at := slices.IndexFunc(f.flights, func(x flight) bool { return x.target == e.Target })
	if at >= 0 {
		why := f.flights[at].why
		f.flights = slices.Delete(f.flights, at, at+1)
		if why == ForSelf {
			m.selfEnded(now, e.Nearest)
		}
	}
	if c := m.self.CommonPrefix(e.Target); c < len(f.ranges) && len(e.Nearest) > 0 {
		f.ranges[c] = m.touched(now)
	}
}

// selfEnded plans the next lookup of the own id. After the first one, each range as far as
// the nearest neighbour's is looked up.
func (m *Machine) selfEnded(now time.Time, nearest []overlay.Contact) {
	f := &m.fresh
	first := m.state == overlay.Bootstrapping && m.boot.looking
	if first {
		m.entered(now, len(nearest))
		if m.state != overlay.Ready {
			return
		}
		f.count, f.quiet = 0, 0
	}
	f.count++
	fresh := false
	ids := make([]overlay.ID, len(nearest))
	for i, c := range nearest {
		ids[i] = c.ID
		fresh = fresh || !slices.Contains(f.neighbours, c.ID)
	}
	if len(ids) > 0 {
		f.neighbours = ids
	}
	if f.quiet++; fresh {
		f.quiet = 0
	}
	switch {
	case f.count == 1:
		f.self = now.Add(time.Minute)
	case f.count == 2:
		f.self = now.Add(4 * time.Minute)
	case f.quiet >= relaxAfter:
		f.self = now.Add(m.around(selfRelaxed, 10))
	default:
		f.self = now.Add(m.around(selfEvery, 10))
	}
	if !first || len(nearest) == 0 {
		return
	}
	last := min(m.self.CommonPrefix(nearest[0].ID), 8*m.o.IDLen)
	f.ranges = f.ranges[:0]
	for range last {
		f.ranges = append(f.ranges, span{touched: now, forced: true})
	}
}

// next returns when there is something to refresh.
func (f *refresh) next(s overlay.State, r rate, factor int, now time.Time) time.Time {
	next := f.self
	for _, x := range f.flights {
		if next.IsZero() || x.until.Before(next) {
			next = x.until
		}
	}
	if s == overlay.Ready && f.flying(ForRange) < factor {
		if at := f.earliest(factor); at >= 0 {
			due := f.ranges[at].due(factor)
			if free := r.free(now, refreshMax*factor); free.After(due) {
				due = free
			}
			if next.IsZero() || due.Before(next) {
				next = due
			}
		}
	}
	return next
}
