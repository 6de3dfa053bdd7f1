package overlay

import "time"

// OutcomeState is what has become of a record at one contact.
type OutcomeState uint8

// The states.
const (
	Stored   OutcomeState = iota + 1 // the contact stores it
	Refused                          // the contact said why it does not
	NoAnswer                         // the contact has not answered
	Sent                             // the wire has no answers; nothing more is known
)

// String returns the state in words.
func (s OutcomeState) String() string {
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
	Contact Contact
	State   OutcomeState
	Life    time.Duration // Stored: how long the contact keeps it
	Status  Status        // Refused: why
	Why     string        // NoAnswer: what is known of it, such as that the contact asked us to wait; or ""
}

// Accepted reports whether the contact stores the record, or got it where nothing more is
// known.
func (o Outcome) Accepted() bool { return o.State == Stored || o.State == Sent }

// Report is what became of a record, with one outcome for each contact that was asked, in
// the order of asking.
type Report struct {
	Key      Key
	Outcomes []Outcome
	Accepted int // how many store it, or got it
	Quorum   int // how many had to
	// Current is the newest record of those who refused because they hold a newer one.
	Current *Record
}
