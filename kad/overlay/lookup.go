package overlay

import "time"

// EndReason says why a lookup ended.
type EndReason uint8

// The reasons.
const (
	EndFound     EndReason = iota + 1 // the value is found
	EndConverged                      // the k nearest have answered
	EndExhausted                      // fewer than k have answered, and nobody is left to ask
	EndLimited                        // a limit was passed: see [LookupResult.Err]
	EndCancelled
)

// String returns the reason in a word.
func (r EndReason) String() string {
	switch r {
	case EndFound:
		return "found"
	case EndConverged:
		return "converged"
	case EndExhausted:
		return "exhausted"
	case EndLimited:
		return "limit"
	case EndCancelled:
		return "cancelled"
	}
	return "unknown"
}

// LookupResult is what a lookup has found.
type LookupResult struct {
	Reason EndReason
	// Err is a [*LimitError] when a limit was passed, otherwise nil. What was found until
	// then is in the other fields.
	Err error

	// Nearest are the contacts that answered, nearest first: the k nearest, and in Further
	// those beyond, whom a store may fall back to.
	Nearest, Further []Contact

	// Record is the best record found; nil: none. Agreed is how many holders have it.
	Record *Record
	Agreed int
	// Sender gave the record first; zero without one.
	Sender ID
	// Lacking is the nearest contact that answered and does not hold the record: the place
	// for a cached copy. Nil: there is none.
	Lacking *Contact
	// Stale are those of Nearest that hold an older record than the best one, or none.
	Stale []Contact

	// Hops is the hop of the record's sender, or else of the nearest that answered.
	Hops                             int
	Asked, Answers, Failures, Slowed int
	Heard                            int // contacts that were named, each counted once
	Bytes                            int // received
	Took                             time.Duration
}

// PeerState is what has become of a contact in a lookup.
type PeerState uint8

// The states.
const (
	PeerHeard   PeerState = iota // it was named
	PeerWaiting                  // it was asked
	PeerSlow                     // it was asked, the soft limit has passed
	PeerAnswered
	PeerFailed
)

// String returns the state in a word.
func (s PeerState) String() string {
	switch s {
	case PeerHeard:
		return "heard"
	case PeerWaiting:
		return "asked"
	case PeerSlow:
		return "slow"
	case PeerAnswered:
		return "answered"
	case PeerFailed:
		return "failed"
	}
	return "unknown"
}

// Step is one line of the trace of a lookup.
type Step struct {
	At      time.Duration // since the lookup began
	Contact Contact
	State   PeerState // that the contact has now
	Hop     int       // 1 for the contacts that the lookup began with, else one more than of who named it
	Rank    int       // its place by distance among the known contacts, from 1
	Took    time.Duration
	// Of an answer:
	Gained int  // new contacts that are nearer than who named them
	Record bool // it gave a valid record
	// BestBefore and Best are the bits that the nearest known contact has in common with
	// the target, before and after.
	BestBefore, Best int
}
