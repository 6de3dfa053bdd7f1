package netsync

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Limits of the work that requests for peers may cause.
const (
	// CallerRequests is how many requests one peer may make in CallerWindow.
	CallerRequests = 10
	CallerWindow   = time.Minute

	// All requests together may cost WorkPerSecond, and WorkBurst at once. Looking at a
	// known peer costs 1, sending one itemWork.
	WorkPerSecond = 1_000_000
	WorkBurst     = 10_000_000
	itemWork      = 10
	leastWork     = 1_000
)

// Busy is the status with which a node refuses a request beyond its [Quota]. A node that
// receives it tries again later. Some releases ban for every status, so a node sends it
// to nodes of this library only.
const Busy = rpc.Conflict

// Quota limits how much work the peers cause with their requests for peers: each peer for
// itself, and all together. The zero Quota is ready to use.
type Quota struct {
	// used has, for each caller, when all its requests are forgotten. There are at most
	// as many as there were requests within CallerWindow, which WorkPerSecond bounds.
	used  map[identity.NodeID]time.Time
	sweep int // length of used at which the forgotten ones are removed

	work    float64 // spent, and not yet regained
	updated time.Time
}

// Take reports whether a request of the caller may be served, and counts it if so. known
// is the number of peers it looks at, and items the greatest number that it sends.
func (q *Quota) Take(now time.Time, caller identity.NodeID, known, items int) bool {
	const interval = CallerWindow / CallerRequests
	used := q.used[caller]
	if used.Before(now) {
		used = now
	}
	if used.Sub(now) > CallerWindow-interval {
		return false
	}
	if !q.updated.IsZero() {
		q.work = max(0, q.work-WorkPerSecond*max(now.Sub(q.updated), 0).Seconds())
	}
	q.updated = now
	work := float64(max(known+itemWork*min(items, known), leastWork))
	if q.work > 0 && q.work+work > WorkBurst {
		return false
	}
	q.work += work
	if q.used == nil {
		q.used = make(map[identity.NodeID]time.Time)
	}
	q.used[caller] = used.Add(interval)
	q.forget(now)
	return true
}

// forget removes the callers whose requests are all forgotten, from time to time.
func (q *Quota) forget(now time.Time) {
	if len(q.used) < max(q.sweep, 64) {
		return
	}
	for id, until := range q.used {
		if !until.After(now) {
			delete(q.used, id)
		}
	}
	q.sweep = 2 * len(q.used)
}
