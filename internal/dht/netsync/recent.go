package netsync

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// maxRecent limits the peers that a Recent remembers.
const maxRecent = 4096

// Recent remembers peers until a time of each. It keeps at most 4,096 of them: to
// remember one more, it forgets the one whose time is over first. The zero value
// remembers nobody.
type Recent struct{ until map[identity.NodeID]time.Time }

// Has reports whether the peer is remembered.
func (r *Recent) Has(now time.Time, peer identity.NodeID) bool { return r.until[peer].After(now) }

// Until returns the time until which a peer is remembered; zero if it is not known.
func (r *Recent) Until(peer identity.NodeID) time.Time { return r.until[peer] }

// Add remembers a peer until that time.
func (r *Recent) Add(now time.Time, peer identity.NodeID, until time.Time) {
	if r.until == nil {
		r.until = make(map[identity.NodeID]time.Time)
	}
	if _, ok := r.until[peer]; !ok && len(r.until) >= maxRecent {
		r.prune(now)
	}
	r.until[peer] = until
}

// prune forgets the peers whose time is over, or else the one whose time is over first.
func (r *Recent) prune(now time.Time) {
	var first identity.NodeID
	var at time.Time
	for peer, until := range r.until {
		switch {
		case !until.After(now):
			delete(r.until, peer)
		case at.IsZero() || until.Before(at) || until.Equal(at) && peer.Compare(first) < 0:
			first, at = peer, until
		}
	}
	if len(r.until) >= maxRecent {
		delete(r.until, first)
	}
}

// Len returns the number of peers in memory.
func (r *Recent) Len() int { return len(r.until) }
