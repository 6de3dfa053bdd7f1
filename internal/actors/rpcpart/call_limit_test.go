package rpcpart

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestCallLimit: a peer has its own limit, a source at most half of what the others leave, and nothing is left of sessions that have ended.
func TestCallLimit(t *testing.T) {
	l := &callLimit{most: 8, perPeer: 3, of: make(map[holder]*callers)}
	one, two := l.join(holder{Source: 1, Key: identity.NodeID{1}}), l.join(holder{Source: 1, Key: identity.NodeID{2}})
	again := l.join(holder{Source: 1, Key: identity.NodeID{1}})
	take := func(p *callPlaces, want bool) {
		t.Helper()
		if err := p.take(); err == nil != want {
			t.Fatalf("got %v, want a place: %v", err, want)
		}
	}
	take(&one, true)
	take(&one, true)
	take(&again, true)
	take(&again, false) // the key has three
	take(&two, true)
	take(&two, false) // the source has half of all
	other := l.join(holder{Source: 2, Key: identity.NodeID{3}})
	take(&other, true)
	one.leave()
	one.leave()
	again.giveBack()
	take(&again, true) // a session that goes on counts with the one that has left
	for _, p := range []*callPlaces{&one, &one, &again, &two, &other} {
		p.giveBack()
	}
	for _, p := range []*callPlaces{&again, &two, &other} {
		p.leave()
	}
	if l.all != 0 || len(l.of) != 0 {
		t.Errorf("%d calls, %d callers are left", l.all, len(l.of))
	}
}
