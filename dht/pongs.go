package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Pongs limits the answers to pings, so that pings do not keep the node busy: a peer
// gets at most [PongLimit] answers in any 60 s (spec: dht 12.4, V28).
type Pongs struct {
	peers map[identity.NodeID]*perSecond
}

// PongLimit is how many pings of one peer are answered in any 60 s; nodes of the
// network send two. MaxPonged is how many peers get answers in a minute.
const (
	PongLimit = 60
	MaxPonged = 4096
)

// NewPongs returns a limiter that has counted no answers.
func NewPongs() *Pongs { return &Pongs{peers: make(map[identity.NodeID]*perSecond)} }

// Ping reports whether to answer a ping of the peer, and counts the answer.
func (p *Pongs) Ping(now time.Time, peer identity.NodeID) bool {
	rate, ok := p.peers[peer]
	if !ok {
		if p.forget(now); len(p.peers) >= MaxPonged {
			return false
		}
		rate = new(perSecond)
		p.peers[peer] = rate
	}
	return rate.take(now, PongLimit)
}

// Len returns how many peers are remembered.
func (p *Pongs) Len() int { return len(p.peers) }

// forget drops idle peers if there is no room for another peer.
func (p *Pongs) forget(now time.Time) {
	if len(p.peers) < MaxPonged {
		return
	}
	for peer, rate := range p.peers {
		if rate.idle(now) {
			delete(p.peers, peer)
		}
	}
}
