package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Pongs limits the answers to pings, so that pings do not keep the node busy: a peer
// gets at most [PongLimit] answers in any 60 s (spec: dht 12.4, V28).
type Pongs struct {
	peers windows[identity.NodeID]
}

// PongLimit is how many pings of one peer are answered in any 60 s; nodes of the
// network send two. MaxPonged is how many peers are remembered; for a further one that is
// forgotten which has been silent for longest, so that nobody can shut out others.
const (
	PongLimit = 60
	MaxPonged = maxWindows
)

// NewPongs returns a limiter that has counted no answers.
func NewPongs() *Pongs { return new(Pongs) }

// Ping reports whether to answer a ping of the peer, and counts the answer.
func (p *Pongs) Ping(now time.Time, peer identity.NodeID) bool {
	w := p.peers.at(now, peer)
	if w.sum >= PongLimit {
		return false
	}
	w.add(1)
	return true
}

// Len returns how many peers are remembered.
func (p *Pongs) Len() int { return p.peers.of.Len() }
