package put

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// State is what has become of a record at one contact.
type State uint8

// The states.
const (
	Stored   State = iota + 1 // the contact stores it
	Refused                   // the contact said why it does not
	NoAnswer                  // the contact has not answered
	Sent                      // the wire has no answers; nothing more is known
)

// String returns the state in words.
func (s State) String() string {
	switch s {
	case Stored:
		return "stored"
	case Refused:
		return "refused"
	case NoAnswer:
		return "no answer"
	case Sent:
		return "sent"
	}
	return "unknown"
}

// Outcome is what became of the record at one contact.
type Outcome struct {
	Contact overlay.Contact
	State   State
	Life    time.Duration  // Stored: how long the contact keeps it
	Status  overlay.Status // Refused: why
	Why     string         // NoAnswer: what is known of it, such as that the contact asked us to wait; or ""
}

func (o Outcome) accepted() bool { return o.State == Stored || o.State == Sent }

// Report is what became of a record, with one outcome for each contact that was asked, in
// the order of asking.
type Report struct {
	Key      overlay.Key
	Outcomes []Outcome
	Accepted int // how many store it, or got it
	Quorum   int // how many had to
	// Current is the newest record of those who refused because they hold a newer one.
	Current *overlay.Record
}

// PartialError reports that fewer nodes than the quorum store a record.
type PartialError struct{ Report Report }

// Error gives the numbers, and the most frequent reason.
func (e *PartialError) Error() string {
	counts := make(map[string]int)
	most, n := "no contact was asked", 0
	for _, o := range e.Report.Outcomes {
		text := o.State.String()
		switch {
		case o.accepted():
			continue
		case o.State == Refused:
			text += ": " + o.Status.String()
		case o.Why != "":
			text = o.Why
		}
		if counts[text]++; counts[text] > n {
			most, n = text, counts[text]
		}
	}
	return fmt.Sprintf("kad: %d of %d nodes that were asked store the record, want %d (%s); it is published again later",
		e.Report.Accepted, len(e.Report.Outcomes), e.Report.Quorum, most)
}
