package dht

import "time"

// perSecond counts events of the last 60 s by whole seconds.
type perSecond struct {
	last    int64 // the second that was counted in last
	sum     int   // of seconds
	seconds [floodSeconds]uint32
}

// turn forgets what is older than the 60 s that end with that second.
func (p *perSecond) turn(second int64) {
	if second <= p.last { // a clock that goes back is one that stands still
		return
	}
	for s := max(p.last+1, second-floodSeconds+1); s <= second; s++ {
		p.sum -= int(p.seconds[s%floodSeconds])
		p.seconds[s%floodSeconds] = 0
	}
	p.last = second
}

// add counts one event in the second that was turned to last.
func (p *perSecond) add() {
	p.seconds[p.last%floodSeconds]++
	p.sum++
}

// take counts one event unless there were limit of them in the last 60 s.
func (p *perSecond) take(now time.Time, limit int) bool {
	if p.turn(now.Unix()); p.sum >= limit {
		return false
	}
	p.add()
	return true
}

// idle reports whether there is nothing to remember.
func (p *perSecond) idle(now time.Time) bool {
	p.turn(now.Unix())
	return p.sum == 0
}
