package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// ReplaceAfter is how long a connection must have been idle before a new one may replace it.
const ReplaceAfter = 30 * time.Second

// InboundConn describes an inbound connection for Replaceable.
type InboundConn struct {
	Peer  identity.NodeID
	Conn  uint64
	Quiet time.Duration // since bytes last came on a substream, or since the connection was made
	Kept  bool          // its peer is or was ever protected, useful or reached, or the connection is closing
}

// Replaceable chooses the connection to close for a new one when all places for inbound
// connections are taken: at random among those that were idle for ReplaceAfter and never of
// use. draw returns a random number below n.
//
// spec: comms 125, V 8
func Replaceable(guests []InboundConn, draw func(n int) int) (InboundConn, bool) {
	var idle []InboundConn
	for _, g := range guests {
		if !g.Kept && g.Quiet >= ReplaceAfter {
			idle = append(idle, g)
		}
	}
	if len(idle) == 0 {
		return InboundConn{}, false
	}
	return idle[draw(len(idle))], true
}
