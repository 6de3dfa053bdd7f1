package rpcpart

import (
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// TestCallLimit: a peer has its own limit, a source at most half of what the others leave, and nothing is left of sessions that have ended.
func TestCallLimit(t *testing.T) {
	l := &callLimit{most: 8, perPeer: 3, of: make(map[holder]*callers)}
	one, two := l.join(holder{Source: 8, Key: identity.NodeID{1}}), l.join(holder{Source: 8, Key: identity.NodeID{2}})
	again := l.join(holder{Source: 8, Key: identity.NodeID{1}})
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
	other := l.join(holder{Source: 9, Key: identity.NodeID{3}})
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

// TestCallLimitWithoutSource: each key that this node has dialled is a source of its own. Keys without an address leave room for each other, and all
// of them together for others.
func TestCallLimitWithoutSource(t *testing.T) {
	want := []int{40, 40, 40, 20, 10, 1, 0} // 16 of 17
	for _, source := range []share.Source{share.None, share.Exempt} {
		l := &callLimit{most: 160, perPeer: 40, of: make(map[holder]*callers)}
		fill := func(source share.Source, key byte) (n int, p callPlaces) {
			p = l.join(holder{Source: source, Key: identity.NodeID{key}})
			for p.take() == nil {
				n++
			}
			return n, p
		}
		var got []int
		var all []callPlaces
		for key := range want {
			n, p := fill(source, byte(key+1))
			got, all = append(got, n), append(all, p)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: got calls of each key %v, want %v", source, got, want)
		}
		if n, p := fill(9, 100); n < 4 {
			t.Errorf("%v: got %d calls of another source beside these", source, n)
		} else {
			got, all = append(got, n), append(all, p)
		}
		for i, n := range got {
			for range n {
				all[i].giveBack()
			}
			all[i].leave()
		}
		if l.all != 0 || len(l.of) != 0 {
			t.Errorf("%v: %d calls, %d callers are left", source, l.all, len(l.of))
		}
	}
}
