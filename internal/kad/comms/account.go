package comms

import (
	"sync/atomic"
	"time"
)

// Limits of a substream.
const (
	// IdleAfter is how long nothing is asked until the asking side closes the substream. The
	// other side waits a little longer, so that both do not close at once.
	IdleAfter  = time.Minute
	idleGrace  = 15 * time.Second
	idleBeside = IdleAfter + idleGrace

	// maxOwed is how many requests may be without an answer, those that were given up
	// included. At most 16 of them are under way at a time ([kad.MaxRequestsPerPeer]).
	maxOwed = 64
	// maxWaiting is how many bytes may wait to be written.
	maxWaiting = 512 << 10
	// maxRefusals is how many requests that the reading task has refused may wait for their
	// answers.
	maxRefusals = 16
	// maxUnread is how many more requests a peer may send without having waited for those
	// answers.
	maxUnread = 4 * maxOwed
)

// account counts the answers that a peer owes, and when the last request or answer was. The
// actor and the task that reads share it.
type account struct {
	owed atomic.Int32
	last atomic.Int64 // nanoseconds of the clock that measures
}

// ask counts a request, and reports whether there may be another one.
func (a *account) ask(now time.Time) bool {
	a.last.Store(now.UnixNano())
	if a.owed.Add(1) > maxOwed {
		a.owed.Add(-1)
		return false
	}
	return true
}

// answered counts an answer, and reports whether one was owed.
func (a *account) answered(now time.Time) bool {
	a.last.Store(now.UnixNano())
	if a.owed.Add(-1) < 0 {
		a.owed.Add(1)
		return false
	}
	return true
}

// idle returns for how long nothing was asked or answered.
func (a *account) idle(now time.Time) time.Duration {
	return time.Duration(now.UnixNano() - a.last.Load())
}
