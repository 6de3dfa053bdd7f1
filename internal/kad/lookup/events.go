package lookup

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Event is an input of a Lookup.
type Event interface{ event() }

type (
	// Start begins the search with the contacts that are known: those nearest to the
	// target, in any order.
	Start struct{ Contacts []overlay.Contact }

	// Answered: a contact that was asked has answered, in time or late.
	Answered struct {
		Peer     overlay.ID
		Took     time.Duration
		Contacts []overlay.Contact
		// Record is what the contact holds under the target. The caller has checked that it
		// is valid and belongs there. Nil: it holds none.
		Record *overlay.Record
		// Forged: the contact gave a record that is not valid.
		Forged bool
		Size   int // bytes of the answer
	}

	// Slow: a contact has not answered within the soft limit.
	Slow struct{ Peer overlay.ID }

	// Lost: a contact has not answered at all.
	Lost struct{ Peer overlay.ID }

	// Cancel ends the search; nobody waits for it any more.
	Cancel struct{}

	// Due reports that the time of the last Wake has come.
	Due struct{}
)

func (Start) event()    {}
func (Answered) event() {}
func (Slow) event()     {}
func (Lost) event()     {}
func (Cancel) event()   {}
func (Due) event()      {}

// Effect is an action for the owner of a Lookup.
type Effect interface{ effect() }

type (
	// Ask: ask the contact for the target, with FindValue in a search for a value, else
	// with FindNode. One Answered or Lost follows, and perhaps a Slow before it.
	Ask struct{ Contact overlay.Contact }

	// Blame: the contact has misled the search. The routing table lowers its score.
	Blame struct {
		Peer overlay.ID
		Why  Fault
	}

	// Hop tells who follows the search that something has become of a contact.
	Hop struct{ Step overlay.Step }

	// Wake: send Due at At. It is sent once, at the beginning.
	Wake struct{ At time.Time }

	// Done: the search has ended. It is the last effect.
	Done struct{ Result overlay.LookupResult }
)

func (Ask) effect()   {}
func (Blame) effect() {}
func (Hop) effect()   {}
func (Wake) effect()  {}
func (Done) effect()  {}

// Fault is what a contact did wrong.
type Fault uint8

// The faults.
const (
	Forged    Fault = iota + 1 // it gave an invalid record
	BadClaim                   // it named a contact whose id or claim is not valid
	NoNearer                   // all it named is farther than itself, although nearer nodes have answered
	SameGroup                  // it named more than three contacts of one network
)

// String returns the fault in words.
func (f Fault) String() string {
	switch f {
	case Forged:
		return "forged record"
	case BadClaim:
		return "invalid contact"
	case NoNearer:
		return "nothing nearer"
	case SameGroup:
		return "contacts of one network"
	}
	return "unknown"
}
