package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Paces is what peers got lately, as one [Outbound] leaves it to the next.
type Paces map[identity.NodeID]peerPace

// peerPace is what one peer got lately.
type peerPace struct {
	pace, relayPace *pacer
	rate            *perSecond
}

// Paces ends the machine and returns what its successor has to know, so that a
// restart gives nobody twice as much. What is under way may leave until the end
// of its limit.
func (o *Outbound) Paces(now time.Time) Paces {
	all := make(Paces)
	for id, p := range o.peers {
		for _, pace := range []*pacer{p.pace, p.relayPace} {
			for pace != nil && pace.open > 0 {
				pace.done(now.Add(DefaultLimit), true)
			}
		}
		if p.pace != nil || p.rate != nil {
			all[id] = peerPace{p.pace, p.relayPace, p.rate}
		}
	}
	return all
}

// pacer bounds the messages that one peer gets in any stretch of time, measured
// where they leave: a message counts from when it may be written until the
// whole stretch has passed since it was known to be written (spec: V28).
type pacer struct {
	limit  int
	within time.Duration
	open   int // given out, end unknown
	// past is a ring of the times at which the others were done, oldest first.
	past  []time.Time
	first int
	n     int
}

// allow reports whether one more may go now. If not, at is when to ask again;
// the zero time means when one of those under way is done.
func (p *pacer) allow(now time.Time) (at time.Time, ok bool) { return p.allowOf(now, p.limit) }

// allowOf is allow for so many, at most the limit.
func (p *pacer) allowOf(now time.Time, most int) (at time.Time, ok bool) {
	p.forget(now)
	over := p.count() - most
	switch {
	case over < 0:
		return time.Time{}, true
	case over < p.n: // so many have to be forgotten, and one more
		return p.past[(p.first+over)%len(p.past)].Add(p.within), false
	}
	return time.Time{}, false
}

// count returns how many count now.
func (p *pacer) count() int { return p.open + p.n }

// begin gives one out.
func (p *pacer) begin() { p.open++ }

// done takes it back, written or not.
func (p *pacer) done(now time.Time, written bool) {
	p.open--
	if !written {
		return
	}
	if p.n == p.limit { // it was not paced from the first on
		p.first = (p.first + 1) % len(p.past)
		p.n--
	}
	if p.n == len(p.past) {
		grown := make([]time.Time, max(8, min(2*p.n, p.limit)))
		for i := range p.n {
			grown[i] = p.past[(p.first+i)%p.n]
		}
		p.past, p.first = grown, 0
	}
	p.past[(p.first+p.n)%len(p.past)] = now
	p.n++
}

// forget drops what was done long enough ago.
func (p *pacer) forget(now time.Time) {
	for p.n > 0 && now.Sub(p.past[p.first]) >= p.within {
		p.first = (p.first + 1) % len(p.past)
		p.n--
	}
	if p.n == 0 && len(p.past) > 8 {
		p.past, p.first = nil, 0
	}
}

// idle reports whether there is nothing to remember.
func (p *pacer) idle(now time.Time) bool {
	p.forget(now)
	return p.open == 0 && p.n == 0
}
