package table

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Event is an input of the table.
type Event interface{ event() }

type (
	// Answered: a contact has answered a request of this node. That alone admits to the
	// table. In the overlay Seed the address is the one that answered.
	Answered struct {
		Contact overlay.Contact
		// Took is the time until the answer came; Measured says that it is a round-trip
		// time.
		Took     time.Duration
		Measured bool
		// Echoed says that the answer proves its sender's address. It counts in the
		// overlay Seed, where an id may move only with such an answer.
		Echoed bool
		// Candidate: it was asked because of a Probe with Candidate, and not for anything
		// this node wanted to know.
		Candidate bool
	}

	// Failed: a contact has not answered a request. Requests that were not sent, or that
	// this node withdrew, do not count. Address is where it was asked; "" stands for
	// where the table has it.
	Failed struct {
		ID      overlay.ID
		Address overlay.Address
	}

	// Asked: a node has asked this one something.
	Asked struct {
		Contact  overlay.Contact
		ReadOnly bool // it serves nobody, so it is no contact
	}

	// Blamed: a contact has misled a lookup. Mild blame counts when it comes twice before
	// the contact was of use.
	Blamed struct {
		ID   overlay.ID
		Mild bool
	}

	// Banned: [Options.Banned] bans others than before. Contacts that it bans leave the table.
	Banned struct{}

	// Joined: the first lookup of this node's own id has ended.
	Joined struct{}

	// Churn says how long half of the contacts live; 0: unknown.
	Churn struct{ HalfLife time.Duration }

	// Due reports that the time of the last Wake has come.
	Due struct{}
)

func (Answered) event() {}
func (Failed) event()   {}
func (Asked) event()    {}
func (Blamed) event()   {}
func (Banned) event()   {}
func (Joined) event()   {}
func (Churn) event()    {}
func (Due) event()      {}

// Effect is an action for the table's owner.
type Effect interface{ effect() }

type (
	// Probe: ask the contact something. With Candidate it is a node that is not in the
	// table, and is asked for this node's own id; otherwise a ping will do. One Answered
	// or Failed follows.
	Probe struct {
		Contact   overlay.Contact
		Candidate bool
	}

	// Added: the contact is live now.
	Added struct{ Contact overlay.Contact }

	// Removed: the contact is not live any more, after it was live for Lived.
	Removed struct {
		Contact overlay.Contact
		Lived   time.Duration
		Why     Reason
	}

	// Wake: send Due at At. It replaces an earlier Wake.
	Wake struct{ At time.Time }
)

func (Probe) effect()   {}
func (Added) effect()   {}
func (Removed) effect() {}
func (Wake) effect()    {}

// Reason says why a contact was removed.
type Reason uint8

// The reasons.
const (
	Dead   Reason = iota + 1 // it failed twice in a row
	Silent                   // it failed once after half an hour without an answer, and another waits
	Poor                     // its score fell to nothing
	Ban
)

// String returns the reason in a word.
func (r Reason) String() string {
	switch r {
	case Dead:
		return "dead"
	case Silent:
		return "silent"
	case Poor:
		return "poor"
	case Ban:
		return "banned"
	}
	return "unknown"
}
