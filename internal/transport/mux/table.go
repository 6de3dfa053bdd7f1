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
// with flags pass through it before the other side of the link sees them, so it is correct for
// both sides. Its lock is never held over I/O.
type table struct {
	mu      sync.Mutex
	client  bool // our ids are odd
	max     int  // live substreams stay below it
	inbound int  // at most so many opened by the peer

	// streams holds the live substreams, and ended ones that nobody has yet.
	streams map[uint32]*Stream
	last    atomic.Pointer[Stream] // a live one, for which a frame came last; nil: unknown

	live, liveInbound int
	reserved          int // opens whose SYN is not written yet
	unaccepted        int // opened by the peer; nobody has them yet
	unacked           int // own, and the library knows them still

	refusals []time.Time // those of the last refusalWindow
	churn    churn
}

func newTable(client bool, c Config) *table {
	return &table{client: client, max: c.MaxStreams, inbound: c.MaxInbound, streams: make(map[uint32]*Stream)}
}

// ours reports whether this side assigns the id.
func (t *table) ours(id uint32) bool { return id&1 == 1 == t.client }

// add enters a live substream. The lock is held.
func (t *table) add(st *Stream) {
	st.live = true
	t.streams[st.id] = st
	t.live++
	if st.inbound {
		t.liveInbound++
		t.unaccepted++
	} else {
		t.unacked++
	}
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
	t.live--
	if st.inbound {
		t.liveInbound--
		if !st.agreed && t.churn.limit > 0 {
			st.churned = true
			t.churn.count(time.Now())
		}
	}
	st.stopTimer()
	if st.claimed {
		delete(t.streams, st.id)
	}
}

// lookup returns the live substream with that id. The lock is held.
func (t *table) lookup(id uint32) *Stream {
	if st := t.streams[id]; st != nil && st.live {
		return st
	}
	return nil
}

// claim notes that a substream has its owner. The lock is held.
func (t *table) claim(st *Stream) {
	st.claimed = true
	if !st.live {
		delete(t.streams, st.id)
	}
}

// accept notes that a substream of the peer has its owner, and reports whether the peer waits
// for that.
func (t *table) accept(st *Stream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claim(st)
	t.unaccepted--
	return st.live && !st.peerOver
}

// acknowledge notes that the library is to forget a substream of this side, and reports whether
// it knows it still. The lock is held.
func (t *table) acknowledge(st *Stream) bool {
	if st.inbound || st.acked {
		return false
	}
	st.acked = true
	t.unacked--
	return true
}

// refuse counts a substream above the peer's limit and reports whether there were too many of
// them. The lock is held.
func (t *table) refuse(now time.Time) bool {
	t.refusals = slices.DeleteFunc(t.refusals, func(at time.Time) bool { return now.Sub(at) >= refusalWindow })
	t.refusals = append(t.refusals, now)
	return len(t.refusals) >= refusalLimit
}

// all returns the substreams.
func (t *table) all() []*Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.streams))
}

// stopTimers stops timers that would otherwise outlive the session.
func (t *table) stopTimers() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, st := range t.streams {
		st.stopTimer()
	}
}
