package mux

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// refusalWindow and refusalLimit limit the substreams that a peer opens above its limit:
// refusalLimit of them within refusalWindow are an offence. spec: V12
const (
	refusalWindow = time.Minute
	refusalLimit  = 100
)

// table holds every live substream of a session: from its SYN to both FINs or a RST. Frames
// with flags pass through it before the library or the peer sees them, so it is correct for
// both sides. Its lock is never held over I/O.
type table struct {
	mu      sync.Mutex
	client  bool // our ids are odd
	max     int  // live substreams stay below it
	inbound int  // at most so many opened by the peer

	streams map[uint32]*Stream     // the live ones
	last    atomic.Pointer[Stream] // one of them, for which a frame came last; nil: unknown

	liveInbound int
	reserved    int // an Open whose SYN is not written yet
	unaccepted  int // opened by the peer; nobody has them yet

	refusals []time.Time // those of the last refusalWindow
	churn    churn
}

// room returns how many more substreams there may be of this side, one of the peer beside them. The lock is held.
func (t *table) room() int { return max(0, t.max-1-len(t.streams)-t.reserved) }

// reserve takes a place for a substream of this side, until its SYN is written, if there is one.
func (t *table) reserve() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.room() == 0 {
		return false
	}
	t.reserved++
	return true
}

// end takes a substream out of the count. The lock is held.
func (t *table) end(st *Stream) {
	if !st.live {
		return
	}
	st.live = false
	if t.last.Load() == st {
		t.last.Store(nil)
	}
	delete(t.streams, st.id)
	if st.inbound {
		t.liveInbound--
		if !st.agreed && t.churn.limit > 0 {
			st.churned = true
			t.churn.count(time.Now())
		}
	}
	st.stopTimer()
}

// refuse counts a substream above the peer's limit and reports whether there were too many of
// them. The lock is held.
func (t *table) refuse(now time.Time) bool {
	t.refusals = slices.DeleteFunc(t.refusals, func(at time.Time) bool { return now.Sub(at) >= refusalWindow })
	t.refusals = append(t.refusals, now)
	return len(t.refusals) >= refusalLimit
}

// all returns the substreams, and ends their time limits: the connection ends, or is about to.
func (t *table) all() []*Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, st := range t.streams {
		st.stopTimer()
	}
	return slices.Collect(maps.Values(t.streams))
}

// add enters a live substream. The table's lock is held, so that the end of the connection finds
// either the substream or has its cause here.
func (s *Session) add(st *Stream) {
	t := &s.table
	st.live = true
	t.streams[st.id] = st
	if st.inbound {
		t.liveInbound++
		t.unaccepted++
	}
	if cause := s.Err(); cause != nil {
		st.sessionEnded(cause)
	}
}

// forget has the library forget a substream of this side: it gets a reset, as if the peer had sent
// it, when the reader next looks around: at the latest when a substream is dropped, or behind
// forgetMost others. The table's lock is held.
func (s *Session) forget(id uint32) {
	s.inject = append(s.inject, id)
	if s.injecting.Store(int32(len(s.inject))); len(s.inject) > forgetMost {
		s.lookAround()
	}
}

// lookAround ends the reader's wait for the connection.
func (s *Session) lookAround() { s.conn.SetReadDeadline(passedDeadline) }

// injected returns the reset of the first substream that the library is to forget.
func (s *Session) injected() header {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	id := s.inject[0]
	s.inject = s.inject[1:]
	s.injecting.Store(int32(len(s.inject)))
	return newHeader(typeWindow, flagACK|flagRST, id, 0)
}
