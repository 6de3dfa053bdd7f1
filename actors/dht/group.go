package dht

import (
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// group is frames of one peer that wait in the mailbox of their inbound actor,
// so that their signatures are verified together when the first has its turn. The
// reader adds to it until then. What it keeps alive of the frames is a part of
// the peer's credit, or of what a handler has just given back.
type group struct {
	mu     sync.Mutex
	begun  bool
	n      int
	bodies [dht.MaxProofs][]byte
	proofs []dht.Proof // the inbound actor's own

	meter  *dht.FloodMeter
	handed atomic.Uint32 // a bit for each place: the meter counts it among what is not judged yet
}

// handOn notes that the frame at that place is counted as not judged yet.
func (g *group) handOn(place int) { g.handed.Or(1 << place) }

// judged says that the frame at that place has been judged, or that nobody will.
// It is called once.
func (g *group) judged(place int, peer identity.NodeID) {
	if g != nil && g.handed.Load()&(1<<place) != 0 {
		g.meter.Judged(peer)
	}
}

// join adds a frame, unless its group is full or the first has had its turn.
func (g *group) join(body []byte) (place int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.begun || g.n == dht.MaxProofs {
		return 0, false
	}
	g.bodies[g.n] = body
	g.n++
	return g.n - 1, true
}

// begins closes the group; it is true for the first.
func (g *group) begins() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.begun
	g.begun = true
	return first
}

// proof is what was found out of the frame at that place. prove is called for the
// first that asks, with all frames; if it panics, nothing was.
func (g *group) proof(place int, prove func(bodies [][]byte) []dht.Proof) (p dht.Proof) {
	if g == nil {
		return p
	}
	if g.begins() {
		defer clear(g.bodies[:])
		if g.n > 1 {
			g.proofs = prove(g.bodies[:g.n])
		}
	}
	if place < len(g.proofs) {
		p = g.proofs[place]
	}
	return p
}
