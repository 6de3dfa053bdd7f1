package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Paces is what each peer got lately, for the [Outbound] that replaces another one.
type Paces map[identity.NodeID]peerPace

// peerPace is what one peer got lately.
type peerPace struct {
	pace, relayPace *pacer
	rate            *perSecond
}

// Paces returns what each peer got lately, so that after a restart no peer gets twice
// as much. Copies under way count as if they left at the end of their limit. The
// machine must not be used afterwards.
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

// pacer limits the messages that leave for one peer in any stretch of time. A message
// counts from when it may be written until one stretch after it is known to have been
// written (spec: V28).
type pacer struct {
	limit  int
	within time.Duration
	open   int // messages under way
	// past is a ring of the times at which the other messages were written, oldest first.
	past  []time.Time
	first int
	n     int
}

// allow reports whether one more message may go now. If not, at is when to ask again;
// the zero time means after the next call of done.
func (p *pacer) allow(now time.Time) (at time.Time, ok bool) { return p.allowOf(now, p.limit) }

// allowOf is allow with a lower limit.
func (p *pacer) allowOf(now time.Time, most int) (at time.Time, ok bool) {
	p.forget(now)
	over := p.count() - most
	switch {
	case over < 0:
		return time.Time{}, true
	case over < p.n: // over+1 of them have to be forgotten first
		return p.past[(p.first+over)%len(p.past)].Add(p.within), false
	}
	return time.Time{}, false
}

// count returns how many messages count now.
func (p *pacer) count() int { return p.open + p.n }

// begin counts a message that goes now.
func (p *pacer) begin() { p.open++ }

// done ends a message that went; one that was not written no longer counts.
func (p *pacer) done(now time.Time, written bool) {
	p.open--
	if !written {
		return
	}
	if p.n == p.limit { // the first messages went before the peer was paced
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

// forget drops the messages that no longer count.
func (p *pacer) forget(now time.Time) {
	for p.n > 0 && now.Sub(p.past[p.first]) >= p.within {
		p.first = (p.first + 1) % len(p.past)
		p.n--
	}
	if p.n == 0 && len(p.past) > 8 {
		p.past, p.first = nil, 0
	}
}

// idle reports whether no message counts.
func (p *pacer) idle(now time.Time) bool {
	p.forget(now)
	return p.open == 0 && p.n == 0
}
