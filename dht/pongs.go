package dht

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Pongs limits the answers to pings, so that pings do not keep the node busy: a peer
// gets at most [PongLimit] answers in any 60 s (spec: dht 12.4, V28).
type Pongs struct {
	peers map[identity.NodeID]*perSecond
}

// PongLimit is how many pings of one peer are answered in any 60 s; nodes of the
// network send two. MaxPonged is how many peers are remembered; for further ones those are
// forgotten that have been silent for longest, so that nobody can shut out others.
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
		p.forget(now)
		rate = new(perSecond)
		p.peers[peer] = rate
	}
	return rate.take(now, PongLimit)
}

// Len returns how many peers are remembered.
func (p *Pongs) Len() int { return len(p.peers) }

// forget makes room for another peer. It drops the idle ones; if there are none, the eighth of
// all that have been silent for longest.
func (p *Pongs) forget(now time.Time) {
	if len(p.peers) < MaxPonged {
		return
	}
	for peer, rate := range p.peers {
		if rate.idle(now) {
			delete(p.peers, peer)
		}
	}
	if len(p.peers) < MaxPonged {
		return
	}
	order := slices.SortedFunc(maps.Keys(p.peers), func(a, b identity.NodeID) int {
		return cmp.Or(p.peers[a].latest().Compare(p.peers[b].latest()), a.Compare(b))
	})
	for _, peer := range order[:MaxPonged/8] {
		delete(p.peers, peer)
	}
}

// latest returns when the newest second began.
func (p *perSecond) latest() time.Time { return p.begin.Add(time.Duration(p.last) * time.Second) }
