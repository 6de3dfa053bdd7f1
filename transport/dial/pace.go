package dial

import "time"

// pace keeps the automatic attempts to so many within any one second.
type pace struct {
	begun []time.Time // the last ones, as a ring
	at    int         // of the oldest
}

func newPace(perSecond int) pace { return pace{begun: make([]time.Time, perSecond)} }

// next returns when one more attempt may begin; a past time says now.
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
