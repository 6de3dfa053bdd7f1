package limit

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Met knows when addresses were met for the first time. A node of the overlay Seed answers
// late when it has just met somebody (spec: kad A8 D4). Get one from [NewMet].
type Met struct {
	first *shared[overlay.Address, time.Time]
}

// NewMet returns a Met that has met nobody. It remembers [ProofEntries] addresses, which make
// way as in [Proofs]; one that made way is met anew.
func NewMet() *Met { return newMet(ProofEntries) }

func newMet(entries int) *Met { return &Met{newShared[overlay.Address, time.Time](entries)} }

// Meet notes that something is sent to an address on this node's own account, or that its owner
// has proved to be there, and returns when that happened first. Call it for nothing else:
// anybody can send in the name of an address.
func (m *Met) Meet(at overlay.Address, now time.Time) time.Time {
	first := m.first.use(at, overlay.Address.Group)
	if first.IsZero() {
		*first = now
	}
	return *first
}

// Remembered returns how many addresses are remembered.
func (m *Met) Remembered() int { return m.first.len() }
