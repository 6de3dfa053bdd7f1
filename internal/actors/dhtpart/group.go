package dhtpart

import (
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// group is a batch of frames of one peer that wait in the mailbox of their inbound
// actor. The actor verifies their signatures together when it receives the first of
// them; until then the reader adds frames. The frame bodies that a group keeps in memory
// are covered by the peer's credit, except for bodies whose credit was returned a moment
// ago.
type group struct {
	mu     sync.Mutex
	begun  bool
	n      int
	bodies [dht.MaxProofs][]byte
	proofs []dht.Proof // used by the inbound actor alone

	meter  *dht.FloodMeter
	handed atomic.Uint32 // a bit for each place: the meter counts the frame as handed on and not judged
}

// handOn records that the meter counts the frame at place as handed on and not judged.
func (g *group) handOn(place int) { g.handed.Or(1 << place) }

// judged tells the meter that the frame at place was judged or dropped, if the frame had
// been handed on. It must be called once for each frame.
func (g *group) judged(place int, peer identity.NodeID) {
	if g != nil && g.handed.Load()&(1<<place) != 0 {
		g.meter.Judged(peer)
	}
}

// join adds a frame and returns its place. It fails if the group is full or closed.
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

// begins closes the group. It returns true for the first call.
func (g *group) begins() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.begun
	g.begun = true
	return first
}

// proof returns the proof of the frame at place. The first call closes the group and,
// if there is more than one frame, calls prove with all of them. The proof is zero if
// the frame is alone or prove panicked.
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
