package dht

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TypePing is the application's message type of pings and pongs (spec: dht
// 12.3).
const TypePing int32 = 1

// Pings remembers the pings whose answer has not come (spec: dht 12.4).
type Pings struct {
	open  map[uint64]ping // by nonce
	order []uint64        // oldest first; those answered are skipped
}

type ping struct {
	peer identity.NodeID
	sent time.Time
	id   uint64
}

// PingLimit is how long the answer to a ping may take; MaxPings is how many may
// be without one.
const (
	PingLimit = 40 * time.Second
	MaxPings  = 4096
)

// NewPings returns an empty one.
func NewPings() *Pings { return &Pings{open: make(map[uint64]ping)} }

// Send notes a ping of a peer under the caller's id and returns its nonce. It is
// false when too many are without an answer.
func (p *Pings) Send(now time.Time, peer identity.NodeID, id uint64, r *rand.Rand) (nonce uint64, ok bool) {
	if len(p.open) >= MaxPings {
		return 0, false
	}
	for nonce == 0 || p.has(nonce) {
		nonce = r.Uint64()
	}
	p.open[nonce] = ping{peer, now, id}
	p.order = append(p.order, nonce)
	return nonce, true
}

func (p *Pings) has(nonce uint64) bool {
	_, ok := p.open[nonce]
	return ok
}

// Pong takes an answer and returns how long it took. It is false for one that
// was not asked for, or not of that peer.
func (p *Pings) Pong(now time.Time, peer identity.NodeID, nonce uint64) (id uint64, took time.Duration, ok bool) {
	sent, ok := p.open[nonce]
	if !ok || sent.peer != peer {
		return 0, 0, false
	}
	p.forget(nonce)
	return sent.id, now.Sub(sent.sent), true
}

// Cancel forgets the ping with the caller's id.
func (p *Pings) Cancel(id uint64) {
	for nonce, sent := range p.open {
		if sent.id == id {
			p.forget(nonce)
			return
		}
	}
}

func (p *Pings) forget(nonce uint64) {
	delete(p.open, nonce)
	p.order = slices.DeleteFunc(p.order, func(n uint64) bool { return n == nonce })
}

// Late takes out the pings that have had no answer in time, oldest first, and
// says when the next one will be late, the zero time if there is none.
func (p *Pings) Late(now time.Time) (ids []uint64, next time.Time) {
	for len(p.order) > 0 {
		sent := p.open[p.order[0]]
		if due := sent.sent.Add(PingLimit); due.After(now) {
			return ids, due
		}
		delete(p.open, p.order[0])
		p.order = p.order[1:]
		ids = append(ids, sent.id)
	}
	return ids, time.Time{}
}

// Len returns how many pings have no answer yet.
func (p *Pings) Len() int { return len(p.open) }
