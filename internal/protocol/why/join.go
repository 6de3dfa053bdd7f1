package why

import (
	"math"
	"slices"
	"time"
)

// Verdict is what the records of both ends say together.
type Verdict uint8

// The verdicts.
const (
	// Unseen: this node has dialled the other one, which has not seen the connections.
	Unseen Verdict = iota + 1
	// RefusedThere: the other node has refused connections of this one.
	RefusedThere
	// UnseenHere: the other node has dialled this one, which has not seen the connections.
	UnseenHere
	// RefusedHere: this node has refused connections of the other one.
	RefusedHere
	// EndedThere: the other node has ended connections.
	EndedThere
)

// Finding is a verdict with the record that shows it.
type Finding struct {
	Verdict
	Record // of the end that knows more; several of a kind are added up
}

// slack is how long a dial may take, and the difference between what two nodes see of it.
const slack = 30 * time.Second

// Join returns what the records of this node and of another one say together. Nothing is found when
// both have connected whenever they tried, and when nothing explains why a dial has failed.
func Join(ours, theirs Answer) (list []Finding) {
	list = way(list, ours, theirs, Unseen, RefusedThere)
	list = way(list, theirs, ours, UnseenHere, RefusedHere)
	if r, ok := theirs.sum(Ended); ok {
		list = append(list, Finding{Verdict: EndedThere, Record: r})
	}
	return list
}

// way finds out what became of the dials of one end.
func way(list []Finding, dialler, listener Answer, unseen, refused Verdict) []Finding {
	missed, tried := dialler.sum(Missed, CodeNoAnswer) // whatever else has failed says why itself
	turned, ok := listener.sum(Refused)
	switch {
	case ok: // also when the dials were forgotten
		return append(list, Finding{Verdict: refused, Record: turned})
	case !tried || missed.Last+slack > listener.Since: // it was not there yet
		return list
	}
	came, _ := listener.sum(Came)
	reached, again := dialler.sum(Reached)
	if again && reached.Last < missed.Last { // it is over
		return list
	}
	if uint64(came.Count) >= uint64(reached.Count)+uint64(missed.Count) { // they have come, and were given up by the dialler
		return list
	}
	return append(list, Finding{Verdict: unseen, Record: missed})
}

// Missed returns the dials that have not reached the other node, whatever the code, as one record.
func (a Answer) Missed() (Record, bool) { return a.sum(Missed) }

// sum adds up the records of a kind, those with one of the codes if there are any. The words are those
// of the last one. The address is that of all of them, or nil.
func (a Answer) sum(k Kind, codes ...string) (sum Record, ok bool) {
	for _, r := range a.Records {
		switch {
		case r.Kind != k || len(codes) > 0 && !slices.Contains(codes, r.Code):
		case !ok:
			sum, ok = r, true
		default:
			sum.Count += min(r.Count, math.MaxUint32-sum.Count)
			sum.First = max(sum.First, r.First)
			if !equal(sum.Address, r.Address) {
				sum.Address = nil
			}
		}
	}
	return sum, ok
}
