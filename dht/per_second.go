package dht

import "time"

// perSecond counts events of the last 60 s by whole seconds since its first call.
// Its now must be a clock that never goes back.
type perSecond struct {
	begin   time.Time
	last    int64 // the second since begin that was counted in last
	sum     int   // of seconds
	seconds [floodSeconds]uint32
}

// turn forgets what is older than the 60 s that end with that second.
func (p *perSecond) turn(second int64) {
	if second <= p.last {
		return
	}
	for s := max(p.last+1, second-floodSeconds+1); s <= second; s++ {
		p.sum -= int(p.seconds[s%floodSeconds])
		p.seconds[s%floodSeconds] = 0
	}
	p.last = second
}

// second is the number of whole seconds since the first call.
func (p *perSecond) second(now time.Time) int64 {
	if p.begin.IsZero() {
		p.begin = now
	}
	return int64(now.Sub(p.begin) / time.Second)
}

// add counts n events in the second that was turned to last.
func (p *perSecond) add(n int) {
	p.seconds[p.last%floodSeconds] += uint32(n)
	p.sum += n
}

// take counts one event unless there were limit of them in the last 60 s.
func (p *perSecond) take(now time.Time, limit int) bool {
	if p.turn(p.second(now)); p.sum >= limit {
		return false
	}
	p.add(1)
	return true
}

// idle reports whether there is nothing to remember.
func (p *perSecond) idle(now time.Time) bool {
	p.turn(p.second(now))
	return p.sum == 0
}
