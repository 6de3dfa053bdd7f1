package actors

import (
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// banClock is how far the clock that bans are counted by is ahead of Now, in
// nanoseconds. That clock does not step: when the system's clock was set, the
// actor peers moves the bans in the store by as much, and this with them.
type banClock struct{ banAhead atomic.Int64 }

// Ban reports whether the peer is banned, until when on the system's clock, and
// why. A ban lasts as long as it was made for, whatever is done to that clock
// meanwhile.
func (e *env) Ban(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	for {
		ahead := e.banAhead.Load()
		until, reason, ok = e.Store.View().Banned(peer, e.Now().Add(time.Duration(ahead)))
		if e.banAhead.Load() == ahead {
			return until, reason, ok
		}
	}
}

// setBanClock moves the bans if the system's clock, which is ahead of Now by so
// much, was set. It returns by how much, 0 if it was not, and how many bans were
// moved. Only the actor peers calls it. Whoever asks for a ban meanwhile finds it
// too long at worst.
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
