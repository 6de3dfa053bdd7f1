package actors

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/dht"
)

// together is frames of one peer that wait in the mailbox of their inbound actor,
// so that their signatures are verified together when the first has its turn. The
// reader adds to it until then. What it keeps alive of the frames is a part of
// the peer's credit, or of what a handler has just given back.
type together struct {
	mu     sync.Mutex
	begun  bool
	n      int
	bodies [dht.MaxProofs][]byte
	proofs []dht.Proof // the inbound actor's own
}

// join adds a frame, unless its group is full or the first has had its turn.
func (t *together) join(body []byte) (place int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun || t.n == dht.MaxProofs {
		return 0, false
	}
	t.bodies[t.n] = body
	t.n++
	return t.n - 1, true
}

// begins closes the group; it is true for the first.
func (t *together) begins() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.begun
	t.begun = true
	return first
}

// proof is what was found out of the frame at that place. prove is called for the
// first that asks, with all frames; if it panics, nothing was.
func (t *together) proof(place int, prove func(bodies [][]byte) []dht.Proof) (p dht.Proof) {
	if t == nil {
		return p
	}
	if t.begins() {
		defer clear(t.bodies[:])
		if t.n > 1 {
			t.proofs = prove(t.bodies[:t.n])
		}
	}
	if place < len(t.proofs) {
		p = t.proofs[place]
	}
	return p
}
