package netsync

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
)

// asked are the syncs under way of one machine for one purpose, with the time at which
// the machine gives each up.
type asked map[identity.NodeID]time.Time

// late removes the syncs whose time is over, and returns their peers in order.
func (a asked) late(now time.Time) (late []identity.NodeID) {
	for peer, until := range a {
		if !until.After(now) {
			late = append(late, peer)
		}
	}
	return a.without(late)
}

// all removes all syncs, and returns their peers in order.
func (a asked) all() (all []identity.NodeID) {
	for peer := range a {
		all = append(all, peer)
	}
	return a.without(all)
}

func (a asked) without(peers []identity.NodeID) []identity.NodeID {
	for _, peer := range peers {
		delete(a, peer)
	}
	slices.SortFunc(peers, identity.NodeID.Compare)
	return peers
}

// took removes the sync of a peer and reports whether it was under way.
func (a asked) took(peer identity.NodeID) bool {
	_, ok := a[peer]
	delete(a, peer)
	return ok
}

// first returns when the first sync is late; the zero time if there is none.
func (a asked) first() (first time.Time) {
	for _, until := range a {
		first = deadline.Earlier(first, until)
	}
	return first
}

// effects collects the effects of a step, and asks for no more wakes than needed.
type effects struct {
	out   []Effect
	wakes []time.Time // still to come, each earlier than the one before
}

func (e *effects) do(f Effect) { e.out = append(e.out, f) }

// begin begins a step.
func (e *effects) begin(event Event) {
	clear(e.out)
	e.out = e.out[:0]
	if _, ok := event.(Due); ok && len(e.wakes) > 0 {
		e.wakes = e.wakes[:len(e.wakes)-1]
	}
}

// wake asks for a Wake at this time, unless it is zero or an earlier one was asked for.
func (e *effects) wake(at time.Time) {
	if at.IsZero() || len(e.wakes) > 0 && !at.Before(e.wakes[len(e.wakes)-1]) {
		return
	}
	e.wakes = append(e.wakes, at)
	e.do(Wake{at})
}
