package taps

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan/identity"
)

func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all Taps
		if all.Put(Event{What: "nobody looks"}); all.Open() {
			t.Error("got open, want that nobody looks")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		peer := identity.NodeID{1}
		seen, ok := all.Look(ctx, func(e *Event) bool { return e.Peer == peer })
		if !ok || !all.Open() {
			t.Fatal("got that nobody looks")
		}
		var got []string
		go func() {
			for e := range seen {
				got = append(got, e.What)
			}
		}()
		all.Put(Event{What: "one", Peer: peer})
		all.Put(Event{What: "of another", Peer: identity.NodeID{2}})
		synctest.Wait()
		all.Put(Event{What: "two", Peer: peer})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !slices.Equal(got, []string{"one", "two"}) || all.Open() {
			t.Errorf("got %v, open %v", got, all.Open())
		}
	})
}

// TestSlowLook: who reads slowly loses events, hears how many, and holds up nobody.
func TestSlowLook(t *testing.T) {
	var all Taps
	seen, _ := all.Look(t.Context(), func(*Event) bool { return true })
	for range waiting + 7 {
		all.Put(Event{})
	}
	events, lost := 0, uint64(0)
	for _, n := range seen {
		lost += n
		if events++; events == waiting {
			break
		}
	}
	if lost != 7 || all.Open() {
		t.Errorf("got %d lost, open %v, want 7, and that nobody looks", lost, all.Open())
	}
	for range MostTaps {
		if _, ok := all.Look(t.Context(), nil); !ok {
			t.Fatal("got no place")
		}
	}
	if _, ok := all.Look(t.Context(), nil); ok {
		t.Errorf("got more than %d who look", MostTaps)
	}
}
