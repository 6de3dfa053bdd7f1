package connections

import (
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Traffic counts connections since the node's start, and their bytes.
type Traffic struct {
	Inbound, Outbound uint64 // connections that have begun
	Closed            []ClosedFor
	BytesIn, BytesOut uint64 // with the multiplexer's headers, without those of encryption
}

// ClosedFor counts the connections that have ended in one way.
type ClosedFor struct {
	Code, By string // of [actors.CloseReason]
	Count    uint64
}

// Sides are who can end a connection, as in [actors.CloseReason], and CloseCodes why.
var (
	Sides      = []string{"us", "peer", "network"}
	CloseCodes = []string{
		actors.CloseRequested, actors.CloseShutdown, actors.CloseTieBreak, actors.CloseBanned, actors.CloseUnlisted, actors.CloseSecret, actors.CloseViolation,
		actors.CloseEnded, actors.CloseNoAnswer, actors.CloseStalled, actors.ClosePanics, actors.CloseBlamed, actors.CloseChurn,
		actors.CloseCrashed, actors.CloseReaped, actors.CloseReplaced, actors.CloseMinimised,
	}
)

// traffic counts. The actor conns writes what began and ended, each connection its bytes.
type traffic struct {
	inbound, outbound atomic.Uint64

	mu     sync.Mutex
	closed map[ClosedFor]uint64      // by Code and By
	live   map[*mux.Session]struct{} // whose bytes are not in the sums below
	in     uint64
	out    uint64
}

func (t *traffic) began(d protocol.Direction) {
	if d == protocol.Inbound {
		t.inbound.Add(1)
	} else {
		t.outbound.Add(1)
	}
}

func (t *traffic) ended(why actors.CloseReason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed == nil {
		t.closed = make(map[ClosedFor]uint64)
	}
	t.closed[ClosedFor{Code: why.Code, By: why.By}]++
}

// carried is a session whose bytes are counted as long as it lives.
type carried struct {
	*mux.Session
	by *traffic
}

// carries counts the bytes of a session until what it returns, which owns the session, is closed.
func (t *traffic) carries(s *mux.Session) carried {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = make(map[*mux.Session]struct{})
	}
	t.live[s] = struct{}{}
	return carried{s, t}
}

// Close ends the session and adds its bytes to the sums.
func (x carried) Close() error {
	err := x.Session.Close()
	t := x.by
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.live, x.Session)
	last := x.Stats()
	t.in += last.BytesIn
	t.out += last.BytesOut
	return err
}

// Traffic returns what was counted. The counts never fall.
func (r *Room) Traffic() Traffic {
	t := &r.traffic
	v := Traffic{Inbound: t.inbound.Load(), Outbound: t.outbound.Load()}
	t.mu.Lock()
	defer t.mu.Unlock()
	v.BytesIn, v.BytesOut = t.in, t.out
	for s := range t.live {
		now := s.Stats()
		v.BytesIn += now.BytesIn
		v.BytesOut += now.BytesOut
	}
	for _, code := range CloseCodes {
		for _, by := range Sides {
			if n := t.closed[ClosedFor{Code: code, By: by}]; n > 0 {
				v.Closed = append(v.Closed, ClosedFor{code, by, n})
			}
		}
	}
	return v
}
