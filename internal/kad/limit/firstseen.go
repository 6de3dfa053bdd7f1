package limit

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// FirstSeen knows when addresses were seen for the first time. A node of the overlay Seed answers
// late when it sees somebody for the first time (spec: kad A8 D4). Get one from [NewFirstSeen].
type FirstSeen struct {
	first *shared[overlay.Address, time.Time]
}

// NewFirstSeen returns a FirstSeen that has seen nobody. It remembers [ProofEntries] addresses, which make
// way as in [Proofs]; one that was evicted is seen for the first time again.
func NewFirstSeen() *FirstSeen { return newFirstSeen(ProofEntries) }

func newFirstSeen(entries int) *FirstSeen {
	return &FirstSeen{newShared[overlay.Address, time.Time](entries)}
}

// Note notes that something is sent to an address on this node's own account, or that its owner
// has proved to be there, and returns when that happened first. Call it for nothing else:
// anybody can send in the name of an address.
func (m *FirstSeen) Note(at overlay.Address, now time.Time) time.Time {
	first := m.first.use(at, overlay.Address.Group)
	if first.IsZero() {
		*first = now
	}
	return *first
}

// Remembered returns how many addresses are remembered.
func (m *FirstSeen) Remembered() int { return m.first.len() }
