package limit

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
)

// Met knows when addresses were met for the first time. A node of the overlay Seed answers
// late when it has just met somebody (spec: kad A8 D4). Get one from [NewMet].
type Met struct {
	first *recent[kad.Address, time.Time]
}

// NewMet returns a Met that has met nobody. It remembers [ProofEntries] addresses; one that
// made way is met anew.
func NewMet() *Met { return &Met{newRecent[kad.Address, time.Time](ProofEntries)} }

// Meet notes that something came from an address or goes there, and returns when that
// happened first.
func (m *Met) Meet(at kad.Address, now time.Time) time.Time {
	first := m.first.use(at)
	if first.IsZero() {
		*first = now
	}
	return *first
}

// Remembered returns how many addresses are remembered.
func (m *Met) Remembered() int { return m.first.len() }
