package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// ReplaceAfter is for how long a connection must have been idle before another
// one may take its place.
const ReplaceAfter = 30 * time.Second

// Guest is an inbound connection as the choice sees it that makes room for a new
// one.
type Guest struct {
	Peer  identity.NodeID
	Conn  uint64
	Quiet time.Duration // since something last came on a substream, or since it was made
	Kept  bool          // its peer was ever wanted, useful or reached, or is now; or it is leaving
}

// Replaceable chooses the connection that makes room for a new one, when all
// places for inbound connections are taken: at random among those that were idle
// for ReplaceAfter and of no use. draw returns a number below n.
//
// spec: comms 125, V 8
func Replaceable(guests []Guest, draw func(n int) int) (Guest, bool) {
	var idle []Guest
	for _, g := range guests {
		if !g.Kept && g.Quiet >= ReplaceAfter {
			idle = append(idle, g)
		}
	}
	if len(idle) == 0 {
		return Guest{}, false
	}
	return idle[draw(len(idle))], true
}
