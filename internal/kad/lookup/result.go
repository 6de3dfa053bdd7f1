package lookup

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Reason says why a search ended.
type Reason uint8

// The reasons.
const (
	Found     Reason = iota + 1 // the value is found
	Converged                   // the k nearest have answered
	Exhausted                   // fewer than k have answered, and nobody is left to ask
	Limited                     // a limit was passed: see [Result.Err]
	Cancelled
)

// String returns the reason in a word.
func (r Reason) String() string {
	switch r {
	case Found:
		return "found"
	case Converged:
		return "converged"
	case Exhausted:
		return "exhausted"
	case Limited:
		return "limit"
	case Cancelled:
		return "cancelled"
	}
	return "unknown"
}

// Result is what a search has found.
type Result struct {
	Reason Reason
	// Err is a [*LimitError] when a limit was passed, otherwise nil. What was found until
	// then is in the other fields.
	Err error

	// Nearest are the contacts that answered, nearest first: the k nearest, and in Further
	// those beyond, whom a store may fall back to.
	Nearest, Further []overlay.Contact

	// Record is the best record found; nil: none. Agreed is how many holders have it.
	Record *overlay.Record
	Agreed int
	// Sender gave the record first; zero without one.
	Sender overlay.ID
	// Lacking is the nearest contact that answered and does not hold the record: the place
	// for a cached copy. Nil: there is none.
	Lacking *overlay.Contact
	// Stale are those of Nearest that hold an older record than the best one, or none.
	Stale []overlay.Contact

	// Hops is the hop of the record's sender, or else of the nearest that answered.
	Hops                             int
	Asked, Answers, Failures, Slowed int
	Heard                            int // contacts that were named, each counted once
	Bytes                            int // received
	Took                             time.Duration
}

// LimitError reports a search that took more than it may. It was ended with what it had.
type LimitError struct {
	What string // "time", "contacts asked", "contacts heard of" or "bytes"
	Max  string
}

// Error names the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("kad: lookup ended at its limit of %s (%s); try again, the contacts that misled it have lost score", e.What, e.Max)
}
