package mux

import (
	"fmt"
	"sync/atomic"
	"time"
)

// churnWindow is the time to which the limit of LimitChurn applies.
const churnWindow = time.Minute

// Pacer limits how fast substreams of a peer may end without an agreed protocol. Its methods
// are called under a lock of the session: they must neither block nor call the session.
type Pacer interface {
	// Ended counts one such substream. It returns how long the session must not read
	// from the connection, or false if the session must end.
	Ended() (wait time.Duration, ok bool)
	// Agreed takes back one whose protocol was agreed on after its end.
	Agreed()
}

// churn counts the substreams of the peer that ended without an agreed protocol.
// All fields except untilSet are under the table's lock.
type churn struct {
	limit    int // 0: none
	pace     Pacer
	since    time.Time
	ended    int
	total    uint64
	why      error       // the limit was exceeded, or the pacer ends the session
	until    time.Time   // nothing is read before this time
	untilSet atomic.Bool // until is set
}

// LimitChurn limits the substreams of the peer that end without a call of [Stream.Agreed],
// including refused ones. More than n within a minute end the session, with a GoAway and
// [ErrTooMuchChurn]; 0, the default, is no limit. pace is called for each of them. It can end the
// session in the same way, or stop the reading for a while, so that the peer waits; answers to
// pings of both sides wait as well.
func (s *Session) LimitChurn(n int, pace Pacer) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.table.churn.limit, s.table.churn.pace = n, pace
}

// Agreed reports that both sides have agreed on the substream's protocol. If the substream
// has ended already, it no longer counts for LimitChurn.
func (st *Stream) Agreed() {
	t := &st.session.table
	t.mu.Lock()
	defer t.mu.Unlock()
	st.agreed = true
	if st.churned {
		st.churned = false
		c := &t.churn
		c.total, c.ended = c.total-1, max(0, c.ended-1)
		c.pace.Agreed()
	}
}

// count counts one more. The table's lock is held.
func (c *churn) count(now time.Time) {
	if c.limit <= 0 {
		return
	}
	if now.Sub(c.since) >= churnWindow {
		c.since, c.ended = now, 0
	}
	c.ended++
	if c.total++; c.ended > c.limit {
		c.why = fmt.Errorf("%w: more than %d in a minute", ErrTooMuchChurn, c.limit)
	}
	wait, ok := c.pace.Ended()
	if !ok {
		c.why = fmt.Errorf("%w, by peers of one source", ErrTooMuchChurn)
	}
	if wait > 0 {
		if until := now.Add(wait); until.After(c.until) {
			c.until = until
		}
		c.untilSet.Store(true)
	}
}

// holdBackReading waits until the pacer lets the reader go on.
func (s *Session) holdBackReading() {
	c := &s.table.churn
	s.table.mu.Lock()
	wait := time.Until(c.until)
	c.untilSet.Store(wait > 0)
	s.table.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.over:
	}
}
