package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Pongs decides which pings are answered, so that nobody's pings keep the node
// busy: one answer is on its way to a peer at a time, and a peer has no more than
// [PongLimit] of them in any 60 s (spec: dht 12.4, V28).
type Pongs struct{ peers map[identity.NodeID]*ponging }

type ponging struct {
	id    uint64    // of the answer on its way, 0: none is
	until time.Time // when it is given up at the latest
	rate  perSecond
}

// PongLimit is how many pings of one peer are answered in any 60 s; nodes of the
// network send two. Nobody is answered beyond the first [MaxPonged] peers in a
// minute.
const (
	PongLimit = 20
	MaxPonged = 4096
)

// NewPongs returns one that has answered nobody.
func NewPongs() *Pongs { return &Pongs{peers: make(map[identity.NodeID]*ponging)} }

// Ping reports whether a ping of the peer is to be answered, with an answer that
// the caller knows by this id, which is not 0. Then Sent says when that has ended.
func (p *Pongs) Ping(now time.Time, peer identity.NodeID, id uint64) bool {
	x, ok := p.peers[peer]
	if !ok {
		if p.forget(now); len(p.peers) >= MaxPonged {
			return false
		}
		x = new(ponging)
		p.peers[peer] = x
	}
	if x.id != 0 && now.Before(x.until) || !x.rate.take(now, PongLimit) {
		return false
	}
	x.id, x.until = id, now.Add(PingLimit)
	return true
}

// Sent says that the answer is on its way no longer.
func (p *Pongs) Sent(peer identity.NodeID, id uint64) {
	if x, ok := p.peers[peer]; ok && x.id == id {
		x.id = 0
	}
}

// Len returns how many peers are remembered.
func (p *Pongs) Len() int { return len(p.peers) }

// forget makes room, if there is none, by those of whom nothing has to be
// remembered.
func (p *Pongs) forget(now time.Time) {
	if len(p.peers) < MaxPonged {
		return
	}
	for peer, x := range p.peers {
		if (x.id == 0 || !now.Before(x.until)) && x.rate.idle(now) {
			delete(p.peers, peer)
		}
	}
}
