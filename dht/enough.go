package dht

import "github.com/gamelan-p2p/gamelan/protocol"

// AnyOutcome reports whether at least one copy has its outcome. It is a condition to
// wait for, as are [ConfirmedBy] and [ConfirmedShare].
func AnyOutcome(r Report) bool { return r.Open() < len(r.Copies) }

// ConfirmedBy returns the condition that at least n copies are confirmed.
func ConfirmedBy(n int) func(Report) bool {
	return func(r Report) bool { return len(r.Copies) > 0 && r.Count(protocol.Confirmed) >= n }
}

// ConfirmedShare returns the condition that this share of the copies, from 0 to 1,
// is confirmed.
func ConfirmedShare(share float64) func(Report) bool {
	return func(r Report) bool {
		return len(r.Copies) > 0 && float64(r.Count(protocol.Confirmed)) >= share*float64(len(r.Copies))
	}
}
