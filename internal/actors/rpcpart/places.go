package rpcpart

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// holder is who has a place: a peer, and where its connection comes from.
type holder = share.Holder[identity.NodeID]

// places decide who has a place among the sessions of peers with services of one kind, the
// users' or the node's own, and who makes way when all are taken.
//
// A session makes way only while it has nothing to do: during a silent handshake, or between two calls. Of those
// it is one of the source that has most sessions, then of the key that has most, then the one that has been idle
// longest. Whoever has fewer sessions than the newcomer never makes way for it. Whoever has as many does so
// after [placeRest]. Among silent handshakes no rest is needed.
//
// spec: V 19, 39
type places struct {
	most int           // sessions
	rest time.Duration // idle time after which a session makes way for one of a source that has as much

	sessions, handshakes int
	all, silent          share.Shares[identity.NodeID]
}

const (
	// Handshakes that may be under way with services of one kind, in all and of one peer.
	maxHandshakes        = 32
	maxHandshakesPerPeer = 4
	// maxLeaving bounds the sessions that have made way and wait for the client's end. Of more the oldest is cut.
	maxLeaving = 100
	// placeRest is the idle time after which a session may make way for any newcomer whose source has no
	// more. Of services whose sessions end soon it is a third of their idle time.
	placeRest = 30 * time.Second
)

// newPlaces returns the places of services whose sessions end after an idle time.
func newPlaces(most int, idle time.Duration) *places {
	return &places{most: most, rest: min(placeRest, idle/3)}
}

// doing is what a session does.
type doing uint8

const (
	busy   doing = iota // a call runs, or an answer is written
	silent              // its client has not completed the handshake
	idle                // it waits for a request
)

// occupant is a session that has a place.
type occupant struct {
	holder
	doing doing
	since time.Time // of its silence or idle time
	last  bool      // this node has dialled the peer, or serves it for long: it makes way after others
}

// enter counts a session, which begins with its handshake.
func (p *places) enter(h holder) {
	p.sessions++
	p.handshakes++
	p.all.Add(h, 1)
	p.silent.Add(h, 1)
}

// accepted counts the end of a session's handshake.
func (p *places) accepted(h holder) {
	p.handshakes--
	p.silent.Add(h, -1)
}

// leave forgets a session; handshake says whether its handshake was under way.
func (p *places) leave(h holder, handshake bool) {
	if handshake {
		p.accepted(h)
	}
	p.sessions--
	p.all.Add(h, -1)
}

// full reports whether a session has to make way for a newcomer, and whether that has to be one with a silent
// handshake.
func (p *places) full() (full, handshake bool) {
	handshake = p.handshakes >= maxHandshakes
	return handshake || p.sessions >= p.most, handshake
}

// way returns the index of the occupant that makes way for a newcomer, -1 if none does.
func (p *places) way(now time.Time, newcomer holder, all []occupant) int {
	_, handshake := p.full()
	count := &p.all
	if handshake {
		count = &p.silent
	}
	count.Add(newcomer, 1)
	defer count.Add(newcomer, -1)
	least := count.Weight(newcomer)
	best := -1
	var most share.Weight
	for i, o := range all {
		if o.doing == busy || handshake && o.doing != silent {
			continue
		}
		w := count.Weight(o.holder)
		has := w.CompareSources(least)
		if o.Source == newcomer.Source && o.Source != share.None {
			has = w.Compare(least)
		}
		rested := handshake || now.Sub(o.since) >= p.rest
		if has < 0 || has == 0 && !rested {
			continue
		}
		if best < 0 || before(o, w, all[best], most) {
			best, most = i, w
		}
	}
	return best
}

// before reports whether a makes way before b.
func before(a occupant, aw share.Weight, b occupant, bw share.Weight) bool {
	if a.last != b.last {
		return b.last
	}
	if by := aw.Compare(bw); by != 0 {
		return by > 0
	}
	return a.since.Before(b.since)
}
