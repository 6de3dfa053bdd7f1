package trunk

import (
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// banClock says by how many nanoseconds the ban clock, which decides when bans end, is
// ahead of Now. When the system's clock is set, the actor peers moves the ban clock and
// the bans in the store by the same amount, so that each ban keeps its duration.
type banClock struct{ banAhead atomic.Int64 }

// Ban reports whether the peer is banned, until when on the system's clock, and why. If
// that clock is set while the node runs, each ban keeps its duration.
func (e *env) Ban(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	for {
		ahead := e.banAhead.Load()
		until, reason, ok = e.Store.View().Banned(peer, e.Now().Add(time.Duration(ahead)))
		if e.banAhead.Load() == ahead {
			return until, reason, ok
		}
	}
}

// setBanClock moves the ban clock and the bans if the system's clock was set. ahead is
// by how much the system's clock is ahead of Now. setBanClock returns by how much the
// clock was set, 0 for less than wallSlack, and how many bans it has moved. Only the
// actor peers calls it. A concurrent Ban may see a ban as too long, never as too short:
// the bans move first when the clock went forward, and last when it went back.
func (e *env) setBanClock(ahead time.Duration) (by time.Duration, moved int) {
	by = ahead - time.Duration(e.banAhead.Load())
	switch {
	case by.Abs() < wallSlack:
		return 0, 0
	case by > 0:
		moved = e.Store.ShiftBans(by)
		e.banAhead.Store(int64(ahead))
	default:
		e.banAhead.Store(int64(ahead))
		moved = e.Store.ShiftBans(by)
	}
	return by, moved
}
