package connpool

import (
	"net/netip"
	"time"
)

// The rates at which substreams of peers may end without an agreed protocol. Such
// substreams cost a node much and a peer nothing. Each connection has a small
// allowance of its own; that many substreams cost less than the connection's
// handshake. All further ones count against an allowance that the connections of one
// source share, so a new connection does not help an attacker.
var (
	churnOfConn   = rate{burst: 20, every: time.Second}
	churnOfSource = rate{burst: 500, every: 10 * time.Millisecond}
)

// churnWait is the longest time for which reading a connection is paused at once. It
// lets 25 connections of a source wait at the same time; each further connection that
// has used up its own allowance ends. Otherwise peers that open substreams and hang up
// would occupy places for connections for as long as their substreams last.
const churnWait = 250 * time.Millisecond

// Churn limits, by source, the substreams of peers that end without an agreed
// protocol. It is not safe for concurrent use. The now of its methods must come from a
// clock that never goes back. The zero value is ready to use.
type Churn struct{ sources rates }

// ConnChurn holds the state of one connection: its own allowance, and how many
// substreams it has counted against its source's. The zero value is ready to use.
type ConnChurn struct {
	full   time.Time
	shared int
}

// Ended counts a substream that ended without an agreed protocol, on a connection from
// that origin ([From]). It returns for how long the caller must not read the
// connection, or false if the connection must end. Exempt sources are limited too.
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

// Agreed takes back one count of Ended.
func (c *Churn) Agreed(conn *ConnChurn, origin netip.Prefix) {
	if conn.shared == 0 {
		conn.full = conn.full.Add(-churnOfConn.every)
		return
	}
	conn.shared--
	c.sources.giveBack(origin, churnOfSource)
}
