package neighbours

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

// How long a peer is not dialled.
//
// spec: V 26
const (
	restFirst  = 30 * time.Second // after a failed dial, doubled for each further one
	restMost   = 10 * time.Minute
	restLeft   = 30 * time.Second // after the peer closed its connection
	restClosed = 10 * time.Minute // after this node closed it
	// backAfter is the pause before a lost peer is dialled again. A peer that is lost
	// again within steady rests as after a failed dial.
	backAfter = 2 * time.Second
	steady    = 10 * time.Minute
	// trusted is for how many failures in a row a peer is dialled although the store says
	// that it is offline. After that it is left alone for as long as the store says.
	trusted = 5
	// maxRests limits the peers for which rests are remembered; the one whose rest ends
	// first gives way.
	maxRests = 512
)

// rest says why a peer is not dialled before a time.
type rest struct {
	until    time.Time
	failures int       // failed dials in a row
	losses   int       // connections lost in a row, each soon after the one before
	lost     time.Time // when the last one was lost
}

// rests are the peers that are not dialled for a while, or that were so a short time ago.
type rests struct {
	peers map[identity.NodeID]*rest
	next  time.Time // some rest ends then; zero: none does
}

func (r *rests) of(peer identity.NodeID) *rest {
	if x := r.peers[peer]; x != nil {
		return x
	}
	if r.peers == nil {
		r.peers = make(map[identity.NodeID]*rest)
	}
	if len(r.peers) >= maxRests {
		r.forgetOne()
	}
	x := new(rest)
	r.peers[peer] = x
	return x
}

func (r *rests) forgetOne() {
	var first identity.NodeID
	var least *rest
	for peer, x := range r.peers {
		if least == nil || x.until.Before(least.until) || x.until.Equal(least.until) && peer.Compare(first) < 0 {
			first, least = peer, x
		}
	}
	delete(r.peers, first)
}

func (r *rests) set(now time.Time, x *rest, wait time.Duration) {
	if until := now.Add(wait); until.After(x.until) {
		x.until = until
	}
	if r.next.IsZero() || x.until.Before(r.next) {
		r.next = x.until
	}
}

// failed notes a failed dial. While this node is offline failures do not add up: they say
// nothing about the peer.
func (r *rests) failed(now time.Time, peer identity.NodeID, offline bool) {
	x := r.of(peer)
	if !offline || x.failures == 0 {
		x.failures++
	}
	r.set(now, x, backoff.Doubled(x.failures, restFirst, restMost))
}

// ended notes the end of a connection. It reports whether the peer should be dialled again
// after a moment.
func (r *rests) ended(now time.Time, peer identity.NodeID, why End) (back bool) {
	if why == Unneeded {
		return false
	}
	x := r.of(peer)
	switch {
	case why == Closed:
		r.set(now, x, restClosed)
		return false
	case x.losses > 0 && now.Sub(x.lost) < steady:
		x.losses++
		r.set(now, x, backoff.Doubled(x.losses-1, restFirst, restMost))
	case why == Left:
		x.losses = 1
		r.set(now, x, restLeft)
	default:
		x.losses, back = 1, true
	}
	x.lost = now
	return back
}

// connected forgets the failures of a peer.
func (r *rests) connected(peer identity.NodeID) {
	if x := r.peers[peer]; x != nil {
		x.failures, x.until = 0, time.Time{}
		if x.losses == 0 {
			delete(r.peers, peer)
		}
	}
}

// resting reports whether the peer must not be dialled now; excused reports whether its
// failures are too few to trust the store that it is offline.
func (r *rests) resting(now time.Time, peer identity.NodeID) (resting, excused bool) {
	x := r.peers[peer]
	if x == nil {
		return false, false
	}
	return x.until.After(now), x.failures > 0 && x.failures < trusted
}

// purge forgets what is long over, and finds the next end of a rest.
func (r *rests) purge(now time.Time) {
	r.next = time.Time{}
	for peer, x := range r.peers {
		switch {
		case x.until.After(now):
			if r.next.IsZero() || x.until.Before(r.next) {
				r.next = x.until
			}
		case now.Sub(x.until) >= restMost && now.Sub(x.lost) >= steady:
			delete(r.peers, peer)
		}
	}
}
