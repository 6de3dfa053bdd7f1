package connpool

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
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

// Request asks for candidates to dial.
type Request struct {
	At         time.Time
	Missing    int     // connections below the floor
	Rate       float64 // share of dials that succeed, of all peers
	Candidates []protocol.DialCandidate
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
// group. Choose of the choice's [RequestOf] returns the same choice.
//
// spec: V 30
func Choose(r Request) protocol.DialChoice {
	c := protocol.DialChoice{
		At: r.At, Purpose: "proactive dial", Missing: r.Missing, Rate: r.Rate,
		Wanted: Wanted(r.Missing, r.Rate), Considered: len(r.Candidates),
	}
	c.Ranked = make([]protocol.RankedCandidate, 0, len(r.Candidates))
	for _, x := range r.Candidates {
		c.Ranked = append(c.Ranked, rankOf(r.At, x))
	}
	slices.SortFunc(c.Ranked, func(a, b protocol.RankedCandidate) int {
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
		kept := slices.DeleteFunc(slices.Clone(c.Ranked[mostRanked:]), func(x protocol.RankedCandidate) bool { return !x.Chosen })
		c.Ranked = append(slices.Clone(c.Ranked[:mostRanked]), kept...)
	}
	return c
}

// Chosen returns the peers that a choice has chosen, best first.
func Chosen(c protocol.DialChoice) (chosen []identity.NodeID) {
	for _, x := range c.Ranked {
		if x.Chosen {
			chosen = append(chosen, x.Peer)
		}
	}
	return chosen
}

// RequestOf returns the request of a choice, as far as it is kept.
func RequestOf(c protocol.DialChoice) Request {
	r := Request{At: c.At, Missing: c.Missing, Rate: c.Rate}
	for _, x := range c.Ranked {
		r.Candidates = append(r.Candidates, x.DialCandidate)
	}
	return r
}

// rested is the time after which a dial no longer counts.
const rested = time.Hour

func rankOf(now time.Time, x protocol.DialCandidate) protocol.RankedCandidate {
	if x.Out == "" && !x.Entry && !x.Health.Open.IsZero() {
		x.Out = "left alone until " + x.Health.Open.UTC().Format(time.RFC3339) + " after " + times(x.Health.Failures)
		if x.Health.Trial {
			x.Out = "a trial is under way after " + times(x.Health.Failures)
		}
	}
	r := protocol.RankedCandidate{DialCandidate: x, Parts: make([]protocol.ScorePart, 0, 3)}
	add := func(name string, v float64) {
		r.Parts = append(r.Parts, protocol.ScorePart{Name: name, Value: v})
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
