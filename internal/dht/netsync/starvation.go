package netsync

import (
	"math/rand/v2"
	"time"
)

// Limits of starvation.
//
// spec: versions 7, rebootstrap.
const (
	TickEvery  = 20 * time.Second
	starvedFor = 3 // ticks in a row, and at random one more
	coolFirst  = 10 * time.Minute
	coolMost   = 2 * time.Hour
)

// starvation says when too few connections are outbound, and when the node may do
// something about it. Its cool-down doubles each time, and halves for each of its lengths
// without a starved tick.
type starvation struct {
	random  *rand.Rand
	ticked  bool      // the first tick after the start does not count
	row     int       // starved ticks in a row, since the last recovery
	since   time.Time // the first starved tick in a row; zero: the last tick was not
	shown   bool      // the row since then was long enough
	needed  int
	cool    time.Duration // of the next recovery
	free    time.Time     // when the next recovery may begin
	healthy time.Time     // since when; zero: the last tick was starved
}

// starving reports whether a node is starved: fewer than half of the connections that it
// wants are outbound, though it could dial others.
func (t Tick) starving() bool { return t.Spare > 0 && 2*t.Outbound < t.Target }

// tick counts a tick, and reports whether the node has been starved for long enough and
// may recover now.
func (s *starvation) tick(now time.Time, t Tick) bool {
	if !s.ticked {
		s.ticked = true
		return false
	}
	if !t.starving() {
		s.row, s.since, s.shown = 0, time.Time{}, false
		s.thrive(now)
		return false
	}
	s.healthy = time.Time{}
	if s.row == 0 {
		s.needed = starvedFor + s.random.IntN(2)
	}
	if s.row++; s.since.IsZero() {
		s.since = now
	}
	s.shown = s.shown || s.row >= s.needed
	return s.row >= s.needed && s.may(now)
}

// thrive halves the cool-down for each of its lengths without a starved tick.
func (s *starvation) thrive(now time.Time) {
	if s.healthy.IsZero() {
		s.healthy = now
	}
	for s.cool > 0 && now.Sub(s.healthy) >= s.cool {
		s.healthy = s.healthy.Add(s.cool)
		if s.cool /= 2; s.cool < coolFirst {
			s.cool = 0
		}
	}
}

func (s *starvation) may(now time.Time) bool { return !s.free.After(now) }

// recovering notes that a recovery begins, and returns when the next one may.
func (s *starvation) recovering(now time.Time) {
	s.row = 0
	s.cool = min(max(2*s.cool, coolFirst), coolMost)
	// ± 25 %, so that nodes which starved together do not ask together.
	s.free = now.Add(s.cool*3/4 + time.Duration(s.random.Int64N(int64(s.cool/2))))
}
