package connpool

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// How many candidates are dialled at once to fill a gap.
//
// spec: V 30
const (
	mostDialled  = 30  // by one choice
	perGroup     = 4   // of one network
	dialsPerSlot = 2.5 // for each connection that is missing, if every dial succeeded
)

// mostRanked bounds the candidates that a choice keeps.
const mostRanked = 256

// Candidate is a peer that may be dialled automatically, with all values that a choice
// considers.
type Candidate struct {
	Peer    identity.NodeID
	Group   string    // network of its best address, "" for none
	Reached bool      // a dial of this node has succeeded
	Tried   time.Time // when it was last dialled
	Health  Record
	Draw    uint64 // a random number that decides between equals
	// Entry says that it is a seed of a node that has no connection at all: it comes first, and
	// failures do not stop its dials.
	Entry bool
	Out   string // why it cannot be chosen at all; "" if it can
}

// Request asks for candidates to dial.
type Request struct {
	At         time.Time
	Missing    int     // connections below the floor
	Rate       float64 // share of dials that succeed, of all peers
	Candidates []Candidate
}

// Part is one part of a score.
type Part struct {
	Name  string
	Value float64
}

// Ranked is a candidate in the order of its choice.
type Ranked struct {
	Candidate
	Score   float64 // the sum of the parts
	Parts   []Part
	Chosen  bool
	Verdict string // why, or why not
}

// Choice is the result of Choose: the ranked candidates, best first. Choose of its Request
// returns the same Choice.
type Choice struct {
	At         time.Time
	Purpose    string // such as "proactive dial"
	Missing    int
	Rate       float64
	Wanted     int // how many candidates to choose
	Considered int // candidates; Ranked has the best of them
	Ranked     []Ranked
}

// Wanted returns how many peers to dial for so many missing connections, given the share
// of dials that succeed: ceil(missing × 2.5 / rate), at most 30.
//
// spec: V 30
func Wanted(missing int, rate float64) int {
	if missing <= 0 {
		return 0
	}
	return int(min(mostDialled, math.Ceil(float64(missing)*dialsPerSlot/max(rate, 0.01))))
}

// Choose ranks the candidates and chooses among them: first entries, then those that were reached
// before, then those whose dials succeed more often, then those that were dialled longest
// ago; random numbers decide between equals. It chooses at most four of one network
// group.
//
// spec: V 30
func Choose(r Request) Choice {
	c := Choice{
		At: r.At, Purpose: "proactive dial", Missing: r.Missing, Rate: r.Rate,
		Wanted: Wanted(r.Missing, r.Rate), Considered: len(r.Candidates),
	}
	c.Ranked = make([]Ranked, 0, len(r.Candidates))
	for _, x := range r.Candidates {
		c.Ranked = append(c.Ranked, rankOf(r.At, x))
	}
	slices.SortFunc(c.Ranked, func(a, b Ranked) int {
		return cmp.Or(
			compareBool(a.Out == "", b.Out == ""),
			cmp.Compare(b.Score, a.Score),
			cmp.Compare(a.Draw, b.Draw),
			a.Peer.Compare(b.Peer))
	})
	left, groups := c.Wanted, map[string]int{}
	for i := range c.Ranked {
		x := &c.Ranked[i]
		switch {
		case x.Out != "":
			x.Verdict = x.Out
		case left == 0:
			x.Verdict = fmt.Sprintf("not needed: %d better ones", c.Wanted)
		case x.Group != "" && groups[x.Group] == perGroup:
			x.Verdict = fmt.Sprintf("%d of its network %s are chosen", perGroup, x.Group)
		default:
			x.Chosen, x.Verdict = true, "chosen"
			left--
			if x.Group != "" {
				groups[x.Group]++
			}
		}
	}
	if len(c.Ranked) > mostRanked {
		kept := slices.DeleteFunc(slices.Clone(c.Ranked[mostRanked:]), func(x Ranked) bool { return !x.Chosen })
		c.Ranked = append(slices.Clone(c.Ranked[:mostRanked]), kept...)
	}
	return c
}

// Peers returns the chosen peers, best first.
func (c Choice) Peers() (chosen []identity.NodeID) {
	for _, x := range c.Ranked {
		if x.Chosen {
			chosen = append(chosen, x.Peer)
		}
	}
	return chosen
}

// Request returns the request of the choice, as far as it is kept.
func (c Choice) Request() Request {
	r := Request{At: c.At, Missing: c.Missing, Rate: c.Rate}
	for _, x := range c.Ranked {
		r.Candidates = append(r.Candidates, x.Candidate)
	}
	return r
}

// Rank returns the place of a peer in the choice, counted from 1.
func (c Choice) Rank(peer identity.NodeID) (place int, r Ranked, ok bool) {
	for i, x := range c.Ranked {
		if x.Peer == peer {
			return i + 1, x, true
		}
	}
	return 0, Ranked{}, false
}

// rested is the time after which a dial no longer counts.
const rested = time.Hour

func rankOf(now time.Time, x Candidate) Ranked {
	if x.Out == "" && !x.Entry && !x.Health.Open.IsZero() {
		x.Out = "left alone until " + x.Health.Open.UTC().Format(time.TimeOnly) + " after " + times(x.Health.Failures)
		if x.Health.Trial {
			x.Out = "a trial is under way after " + times(x.Health.Failures)
		}
	}
	r := Ranked{Candidate: x, Parts: make([]Part, 0, 3)}
	add := func(name string, v float64) {
		r.Parts = append(r.Parts, Part{name, v})
		r.Score += v
	}
	if x.Entry {
		add("seed of an isolated node", 20)
	}
	reached := 0.0
	if x.Reached {
		reached = 10
	}
	add("reached before", reached)
	add("health", x.Health.Score)
	rest := 1.0
	if !x.Tried.IsZero() {
		rest = max(0, min(1, float64(now.Sub(x.Tried))/float64(rested)))
	}
	add("rested", rest)
	return r
}

func times(failures int) string {
	return fmt.Sprintf("%s in a row", count(failures, "failure"))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
