package dht

import "time"

// perSecond counts the events of the last 60 s by whole seconds since its first call.
// Its now must be a clock that never steps back.
type perSecond struct {
	begin   time.Time
	last    int64 // the newest second, since begin
	sum     int   // of seconds
	seconds [floodSeconds]uint32
}

// advance moves on to a second and forgets the events of more than 60 s before.
func (p *perSecond) advance(second int64) {
	if second <= p.last {
		return
	}
	for s := max(p.last+1, second-floodSeconds+1); s <= second; s++ {
		p.sum -= int(p.seconds[s%floodSeconds])
		p.seconds[s%floodSeconds] = 0
	}
	p.last = second
}

// second returns the number of whole seconds since the first call.
func (p *perSecond) second(now time.Time) int64 {
	if p.begin.IsZero() {
		p.begin = now
	}
	return int64(now.Sub(p.begin) / time.Second)
}

// add counts n events in the newest second.
func (p *perSecond) add(n int) { p.addIn(p.last, n) }

// addIn counts n events in that second, which is not after the newest one, and reports
// whether it is one of the last 60.
func (p *perSecond) addIn(second int64, n int) bool {
	if p.last-second >= floodSeconds {
		return false
	}
	p.seconds[second%floodSeconds] += uint32(n)
	p.sum += n
	return true
}

// newest returns the events of the newest second.
func (p *perSecond) newest() int { return int(p.seconds[p.last%floodSeconds]) }

// clear resets the counts.
func (p *perSecond) clear() { p.sum, p.seconds = 0, [floodSeconds]uint32{} }

// take counts one event and returns true, or returns false if there were limit of them
// in the last 60 s.
func (p *perSecond) take(now time.Time, limit int) bool {
	if p.advance(p.second(now)); p.sum >= limit {
		return false
	}
	p.add(1)
	return true
}

// idle reports whether there were no events in the last 60 s.
func (p *perSecond) idle(now time.Time) bool {
	p.advance(p.second(now))
	return p.sum == 0
}
