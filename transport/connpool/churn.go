package connpool

import (
	"net/netip"
	"time"
)

// How fast substreams of peers may end without an agreed protocol, which costs a
// node much and a peer nothing. A connection has a few of its own: opening that many
// costs less than the handshake before. What goes beyond them comes out of what all
// connections of one source have together, so that it does not help to come again.
var (
	churnOfConn   = rate{burst: 20, every: time.Second}
	churnOfSource = rate{burst: 500, every: 10 * time.Millisecond}
)

// churnWait is the longest that a connection has to wait at a time. So 25 connections
// of a source wait together; each further one that goes beyond what it has of its own
// ends. If it did not, those who open substreams and hang up would hold places for as
// long as their substreams take.
const churnWait = 250 * time.Millisecond

// Churn bounds the substreams of peers that end without an agreed protocol, by
// where they come from. It is not safe for concurrent use; its now must be a clock
// that never goes back. The zero value is ready to use.
type Churn struct{ sources rates }

// ConnChurn is what one connection has of its own, and how many it has of its
// source's. The zero value is ready to use.
type ConnChurn struct {
	full   time.Time
	shared int
}

// Ended counts a substream of a connection from that origin ([From]), and returns
// for how long nothing more of the connection shall be read, or false if it shall end.
// For exempt sources it is the same.
func (c *Churn) Ended(now time.Time, conn *ConnChurn, origin netip.Prefix) (wait time.Duration, ok bool) {
	if next, _, ok := churnOfConn.take(now, conn.full, 0); ok {
		conn.full = next
		return 0, true
	}
	if wait, ok = c.sources.take(now, origin, churnOfSource, churnWait); ok {
		conn.shared++
	}
	return wait, ok
}

// Agreed takes one back.
func (c *Churn) Agreed(conn *ConnChurn, origin netip.Prefix) {
	if conn.shared == 0 {
		conn.full = conn.full.Add(-churnOfConn.every)
		return
	}
	conn.shared--
	c.sources.giveBack(origin, churnOfSource)
}
