package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Limits of the requests of others. A peer may make PeerRequests at once, and regains one
// after each PeerRequests-th of a minute; all peers together for which messages are stored
// AllRequests, and all others OtherRequests, whose answers are empty and cost little. So peers
// without messages, however many, keep nobody from its messages.
// A request that comes while the answer to another one of its peer is under way waits, with
// up to PeerWaiting others.
const (
	PeerRequests = 30
	PeerWaiting  = 3
	// AllRequests is what 200 peers may ask. Package actors/saf bounds the answers under way by
	// their bytes.
	AllRequests = 6_000
	// OtherRequests is more than 500 peers may ask, which is the usual limit of connections.
	OtherRequests = 20_000
	requestSpan   = time.Minute
)

// Admission is the decision on a request.
type Admission uint8

const (
	AnswerNow     Admission = iota + 1 // the owner answers, and then calls [Requests.Done]
	AnswerLater                        // Done returns it when the answer under way has ended
	Waiting                            // dropped: the peer has an answer under way and PeerWaiting requests that wait
	PeerTooMany                        // dropped: beyond [PeerRequests]
	AllTooMany                         // dropped: beyond [AllRequests]
	OthersTooMany                      // dropped: beyond [OtherRequests]
	admissions
)

// Dropped reports whether the request gets no answer.
func (a Admission) Dropped() bool { return a != AnswerNow && a != AnswerLater }

// String returns the decision in words.
func (a Admission) String() string {
	switch a {
	case AnswerNow:
		return "answered"
	case AnswerLater:
		return "answered later"
	case Waiting:
		return "too many wait"
	case PeerTooMany:
		return "too many of the peer"
	case AllTooMany:
		return "too many in all"
	case OthersTooMany:
		return "too many of peers without messages"
	}
	return "unknown"
}

// MarshalText returns the same text as [Admission.String].
func (a Admission) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Requests limits how often others may ask for stored messages. Each peer has at most one
// answer under way and [PeerWaiting] requests that wait for its end. The zero Requests is ready
// to use. It is not safe for concurrent use.
type Requests struct {
	all    bucket // of peers for which messages are stored
	others bucket
	peers  map[identity.NodeID]*requester
	sweep  int // length of peers at which idle ones are forgotten
	counts [admissions]uint64
}

type requester struct {
	bucket
	busy    bool
	waiting []wire.StoredRequest
}

// bucket regains what was taken from it within requestSpan.
type bucket struct {
	empty time.Time // when everything is regained
}

// room reports whether one more of most may be taken.
func (b *bucket) room(now time.Time, most int) bool {
	return b.empty.Sub(now) <= requestSpan-requestSpan/time.Duration(most)
}

func (b *bucket) take(now time.Time, most int) {
	if b.empty.Before(now) {
		b.empty = now
	}
	b.empty = b.empty.Add(requestSpan / time.Duration(most))
}

// Ask decides on a request and counts it. Stored says that messages are stored for the peer.
func (r *Requests) Ask(now time.Time, peer identity.NodeID, stored bool, q wire.StoredRequest) Admission {
	a := r.ask(now, peer, stored, q)
	r.counts[a]++
	return a
}

func (r *Requests) ask(now time.Time, peer identity.NodeID, stored bool, q wire.StoredRequest) Admission {
	of, most, tooMany := &r.all, AllRequests, AllTooMany
	if !stored {
		of, most, tooMany = &r.others, OtherRequests, OthersTooMany
	}
	p := r.peers[peer]
	switch {
	case p != nil && !p.room(now, PeerRequests):
		return PeerTooMany
	case !of.room(now, most):
		return tooMany
	case p == nil:
		r.forget(now)
		p = new(requester)
		r.peers[peer] = p
	}
	p.take(now, PeerRequests)
	switch {
	case !p.busy:
		of.take(now, most)
		p.busy = true
		return AnswerNow
	case len(p.waiting) < PeerWaiting:
		of.take(now, most)
		p.waiting = append(p.waiting, q)
		return AnswerLater
	}
	return Waiting
}

// Done ends the answer under way of a peer. If a request of the peer waits, Done returns
// it, and its answer is under way; it was admitted already.
func (r *Requests) Done(peer identity.NodeID) (next wire.StoredRequest, ok bool) {
	p := r.peers[peer]
	if p == nil || !p.busy {
		return next, false
	}
	if len(p.waiting) > 0 {
		next, p.waiting = p.waiting[0], p.waiting[1:]
		return next, true
	}
	p.busy = false
	return next, false
}

// Waiting returns how many requests wait for the end of an answer to their peer.
func (r *Requests) Waiting() (n int) {
	for _, p := range r.peers {
		n += len(p.waiting)
	}
	return n
}

// forget removes peers that have all their requests again, whenever the number of peers
// has doubled.
func (r *Requests) forget(now time.Time) {
	if r.peers == nil {
		r.peers, r.sweep = make(map[identity.NodeID]*requester), AllRequests
	}
	if len(r.peers) < r.sweep {
		return
	}
	for id, p := range r.peers {
		if !p.busy && !p.empty.After(now) {
			delete(r.peers, id)
		}
	}
	r.sweep = max(AllRequests, 2*len(r.peers))
}

// RequestStats describes [Requests]. The counts are since the start.
type RequestStats struct {
	UnderWay int // answers
	Peers    int // remembered
	Asked    map[Admission]uint64
}

// Stats returns the numbers. It looks at each remembered peer.
func (r *Requests) Stats() RequestStats {
	s := RequestStats{Peers: len(r.peers), Asked: make(map[Admission]uint64)}
	for _, p := range r.peers {
		if p.busy {
			s.UnderWay++
		}
	}
	for a, n := range r.counts {
		if n > 0 {
			s.Asked[Admission(a)] = n
		}
	}
	return s
}
