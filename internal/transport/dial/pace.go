package dial

import "time"

// pace limits the automatic attempts within any one second.
type pace struct {
	begun []time.Time // times of the last attempts, as a ring
	at    int         // index of the oldest
}

func newPace(perSecond int) pace { return pace{begun: make([]time.Time, perSecond)} }

// next returns when one more attempt may begin; a time in the past means now.
func (p *pace) next() time.Time {
	if oldest := p.begun[p.at]; !oldest.IsZero() {
		return oldest.Add(time.Second)
	}
	return time.Time{}
}

// begin notes an attempt.
func (p *pace) begin(now time.Time) {
	p.begun[p.at] = now
	p.at = (p.at + 1) % len(p.begun)
}
