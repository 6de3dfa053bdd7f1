package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Limits of the requests of others. A peer may make PeerRequests at once, and regains one
// after each PeerRequests-th of a minute. All peers together for which messages are stored
// may make AllRequests in a minute, and all others OtherRequests, whose answers are empty and
// cost little. So peers without messages, however many, keep nobody from its messages.
// When all have made as many, one more counts in place of one of the source that has made most,
// and of the key within it. It is dropped if that is its own. So many sources and keys together
// may make several times as many.
// A request that comes while the answer to another one of its peer is under way waits, with
// up to PeerWaiting others.
//
// spec: V 39
const (
	PeerRequests = 30
	PeerWaiting  = 3
	// AllRequests is what 200 peers may ask. Package internal/actors/safpart bounds the answers under way by
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
	AllTooMany                         // dropped: beyond [AllRequests], and no source has made more
	OthersTooMany                      // dropped: beyond [OtherRequests], likewise
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
	all    window // of peers for which messages are stored
	others window
	peers  map[identity.NodeID]*requester
	sweep  int // length of peers at which idle ones are forgotten
	counts [admissions]uint64
}

type requester struct {
	empty   time.Time // when it has regained all its requests
	busy    bool
	untaken bool // see [Requests.Took]
	waiting []wire.StoredRequest
}

// room reports whether the peer may make one more request.
func (p *requester) room(now time.Time) bool {
	return p.empty.Sub(now) <= requestSpan-requestSpan/PeerRequests
}

func (p *requester) take(now time.Time) {
	if p.empty.Before(now) {
		p.empty = now
	}
	p.empty = p.empty.Add(requestSpan / PeerRequests)
}

// asker is who makes requests.
type asker = share.Holder[identity.NodeID]

// window has the requests of the last requestSpan.
type window struct {
	made    []made // oldest first
	shares  share.Shares[identity.NodeID]
	counted int           // of made, in shares
	evicted map[asker]int // of made, by who made them
}

type made struct {
	at time.Time
	by asker
}

// take counts a request, of which there may be most. When all have made as many, it counts in
// place of another one.
func (w *window) take(now time.Time, by asker, most int) bool {
	w.pass(now)
	w.shares.Add(by, 1)
	if w.counted++; w.counted > most {
		w.counted--
		evicted, _ := w.shares.Most()
		if w.shares.Add(evicted, -1); evicted == by {
			return false
		}
		if w.evicted == nil {
			w.evicted = make(map[asker]int)
		}
		w.evicted[evicted]++
	}
	w.made = append(w.made, made{now, by})
	return true
}

// pass forgets the requests that were made long ago.
func (w *window) pass(now time.Time) {
	for len(w.made) > 0 && now.Sub(w.made[0].at) >= requestSpan {
		by := w.made[0].by
		w.made = w.made[1:]
		switch w.evicted[by] {
		case 0:
			w.shares.Add(by, -1)
			w.counted--
		case 1:
			delete(w.evicted, by)
		default:
			w.evicted[by]--
		}
	}
}

// Ask decides on a request of a peer from a source, and counts it. Stored says that messages
// are stored for the peer.
func (r *Requests) Ask(now time.Time, peer identity.NodeID, from share.Source, stored bool, q wire.StoredRequest) Admission {
	a := r.ask(now, asker{Source: from, Key: peer}, stored, q)
	r.counts[a]++
	return a
}

func (r *Requests) ask(now time.Time, by asker, stored bool, q wire.StoredRequest) Admission {
	of, most, tooMany := &r.all, AllRequests, AllTooMany
	if !stored {
		of, most, tooMany = &r.others, OtherRequests, OthersTooMany
	}
	p := r.peers[by.Key]
	switch {
	case p != nil && !p.room(now):
		return PeerTooMany
	case p != nil && p.busy && len(p.waiting) >= PeerWaiting:
		p.take(now)
		return Waiting
	case !of.take(now, by, most):
		return tooMany
	case p == nil:
		r.forget(now)
		p = new(requester)
		r.peers[by.Key] = p
	}
	p.take(now)
	if p.busy {
		p.waiting = append(p.waiting, q)
		return AnswerLater
	}
	p.busy = true
	return AnswerNow
}

// Took notes whether a peer has confirmed an answer with messages.
func (r *Requests) Took(peer identity.NodeID, confirmed bool) {
	if p := r.peers[peer]; p != nil {
		p.untaken = !confirmed
	}
}

// Untaken reports whether a peer has not confirmed its last answer. Others are answered before
// it.
func (r *Requests) Untaken(peer identity.NodeID) bool {
	p := r.peers[peer]
	return p != nil && p.untaken
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
