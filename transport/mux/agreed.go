package mux

import (
	"fmt"
	"sync/atomic"
	"time"
)

// churnWindow is the time in which so many substreams of the peer may end without
// an agreed protocol as LimitChurn says.
const churnWindow = time.Minute

// Pacer says how fast substreams of a peer may end without an agreed protocol. Its
// methods are called under a lock of the session: they neither block nor call it.
type Pacer interface {
	// Ended counts one, and returns for how long the session shall read nothing
	// more from the connection, or false if it shall end.
	Ended() (wait time.Duration, ok bool)
	// Agreed takes one back, whose protocol was agreed on after its end.
	Agreed()
}

// churn counts the substreams of the peer that ended without an agreed protocol.
// All of it but held is under the table's lock.
type churn struct {
	limit int // 0: none
	pace  Pacer
	since time.Time
	ended int
	total uint64
	over  bool        // the pacer ends the session
	until time.Time   // nothing is read before
	held  atomic.Bool // until is set
}

// LimitChurn ends the session, with a GoAway and [ErrTooMuchChurn], when more than
// n substreams that the peer opened have ended within a minute without
// [Stream.Agreed] having been called, refused ones included. 0, which is the
// default, is no limit. Pace, unless it is nil, is told of each of them and may end
// the session in the same way, or hold the reading back, so that the peer waits: the
// answer to a ping of the peer, and to one of ours, waits as well.
func (s *Session) LimitChurn(n int, pace Pacer) {
	s.link.table.mu.Lock()
	defer s.link.table.mu.Unlock()
	s.link.table.churn.limit, s.link.table.churn.pace = n, pace
}

// Agreed says that this side and the peer have agreed on the substream's
// protocol. It may have ended before: then it no longer counts as one that ended
// without.
func (st *Stream) Agreed() {
	t := st.link.table
	t.mu.Lock()
	defer t.mu.Unlock()
	st.agreed = true
	if st.churned {
		st.churned = false
		t.churn.takeBack()
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
	c.total++
	if c.pace == nil {
		return
	}
	wait, ok := c.pace.Ended()
	c.over = c.over || !ok
	if wait > 0 {
		if until := now.Add(wait); until.After(c.until) {
			c.until = until
		}
		c.held.Store(true)
	}
}

// takeBack counts one less. The table's lock is held.
func (c *churn) takeBack() {
	c.total--
	if c.ended > 0 {
		c.ended--
	}
	if c.pace != nil {
		c.pace.Agreed()
	}
}

// churned says which limit the peer has gone beyond, nil if none.
func (l *link) churned() error {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	switch c := &l.table.churn; {
	case c.over:
		return fmt.Errorf("%w, by peers of one source", ErrTooMuchChurn)
	case c.limit > 0 && c.ended > c.limit:
		return fmt.Errorf("%w: more than %d in a minute", ErrTooMuchChurn, c.limit)
	}
	return nil
}

// holdBackReading waits until the pacer lets the reader go on. It returns before,
// and is called again, when there is something to give to the library.
func (l *link) holdBackReading() {
	c := &l.table.churn
	l.table.mu.Lock()
	wait := time.Until(c.until)
	c.held.Store(wait > 0)
	l.table.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.kicked:
	case <-l.over:
	}
}

// dismiss says GoAway, for at most a moment, to a peer whose connection ends.
func (l *link) dismiss(why error) error {
	written := make(chan struct{})
	if l.outbox.send(l, newHeader(typeGoAway, 0, 0, 0), written) == nil {
		timeout := time.NewTimer(holdBack)
		defer timeout.Stop()
		select {
		case <-written:
		case <-timeout.C:
		case <-l.over:
		}
	}
	return why
}
