package protocol

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// DialChoice is a choice of peers that a node dials of its own accord, because it has too few
// connections.
type DialChoice struct {
	At         time.Time
	Purpose    string  // such as "proactive dial"
	Missing    int     // connections below the floor
	Rate       float64 // share of dials that succeed, of all peers, from 0 to 1
	Wanted     int     // how many candidates to choose
	Considered int     // candidates; Ranked has the best of them
	Ranked     []RankedCandidate
}

// Rank returns the place of a peer in the choice, counted from 1. ok is false if Ranked does not
// have the peer.
func (c DialChoice) Rank(peer identity.NodeID) (place int, r RankedCandidate, ok bool) {
	for i, x := range c.Ranked {
		if x.Peer == peer {
			return i + 1, x, true
		}
	}
	return 0, RankedCandidate{}, false
}

// DialCandidate is a peer that may be dialled automatically, with all values that a choice
// considers.
type DialCandidate struct {
	Peer    identity.NodeID
	Group   string    // network of its best address, "" for none
	Reached bool      // a dial of this node has succeeded
	Tried   time.Time // when it was last dialled; zero: never
	Health  DialHealth
	Draw    uint64 // a random number that decides between equals
	// Entry says that it is a seed of a node that has no connection at all: it comes first, and
	// failures do not stop its dials.
	Entry bool
	Out   string // why it cannot be chosen at all; "" if it can
}

// DialHealth are the statistics of one peer's dials.
type DialHealth struct {
	Rate     float64   // share of successes in the last five minutes, with a prior of one in four
	Failures int       // in a row
	Score    float64   // Rate less a tenth for each failure in a row
	Open     time.Time // no automatic dial before this time; zero: no limit
	Trial    bool      // … because the one trial is under way
}

// RankedCandidate is a candidate in the order of its choice.
type RankedCandidate struct {
	DialCandidate
	Score   float64 // the sum of the parts
	Parts   []ScorePart
	Chosen  bool
	Verdict string // why, or why not
}

// ScorePart is one part of a score.
type ScorePart struct {
	Name  string
	Value float64
}
