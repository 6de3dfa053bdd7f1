package mux

import (
	"fmt"
	"time"
)

// churnWindow is the time in which so many substreams of the peer may end without
// an agreed protocol as LimitChurn says.
const churnWindow = time.Minute

// churn counts the substreams of the peer that ended without an agreed protocol.
// All of it is under the table's lock.
type churn struct {
	limit int // 0: none
	since time.Time
	ended int
}

// LimitChurn ends the session, with a GoAway and [ErrTooMuchChurn], when more than
// n substreams that the peer opened have ended within a minute without
// [Stream.Agreed] having been called, refused ones included. 0, which is the
// default, is no limit.
func (s *Session) LimitChurn(n int) {
	s.link.table.mu.Lock()
	defer s.link.table.mu.Unlock()
	s.link.table.churn.limit = n
}

// Agreed says that this side and the peer have agreed on the substream's
// protocol. It may have ended before: then it no longer counts as one that ended
// without.
func (st *Stream) Agreed() {
	t := st.link.table
	t.mu.Lock()
	defer t.mu.Unlock()
	st.agreed = true
	if st.churned && t.churn.ended > 0 {
		st.churned = false
		t.churn.ended--
	}
}

// count counts one more. The table's lock is held.
func (c *churn) count(now time.Time) {
	if now.Sub(c.since) >= churnWindow {
		c.since, c.ended = now, 0
	}
	c.ended++
}

// churned is the limit that the peer has gone beyond, 0 if it has not.
func (l *link) churned() int {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	if c := l.table.churn; c.limit > 0 && c.ended > c.limit {
		return c.limit
	}
	return 0
}

// dismiss says GoAway, for at most a moment, to a peer whose connection ends.
func (l *link) dismiss(limit int) error {
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
	return fmt.Errorf("%w: more than %d in a minute", ErrTooMuchChurn, limit)
}
