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

// Pings remembers the unanswered pings (spec: dht 12.4).
type Pings struct {
	open  map[uint64]ping // by nonce
	order []uint64        // nonces, oldest first
}

type ping struct {
	peer identity.NodeID
	sent time.Time
	id   uint64
}

// PingLimit is how long a ping waits for its answer. MaxPings is how many pings may be
// unanswered.
const (
	PingLimit = 40 * time.Second
	MaxPings  = 4096
)

// NewPings returns Pings without pings.
func NewPings() *Pings { return &Pings{open: make(map[uint64]ping)} }

// Send remembers a ping to a peer under the caller's id and returns its nonce. It
// returns false if [MaxPings] are unanswered.
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

// Pong forgets the ping with this nonce and returns its id and how long the answer took.
// It returns false if no such ping was sent to the peer.
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

// Late forgets the pings that were not answered in time and returns their ids, oldest
// first. Next is when the next ping will be late, the zero time if there is none.
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

// Len returns how many pings are unanswered.
func (p *Pings) Len() int { return len(p.open) }
