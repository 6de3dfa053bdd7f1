package gamelan_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestEvents has a reader that keeps up and one that does not.
func TestEvents(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{})
		const all = 1000
		quick := make(chan int)
		go func() {
			var seen int
			var last uint64
			for e := range n.Events(t.Context()) {
				if e.Seq <= last || e.At.IsZero() {
					t.Errorf("got number %d at %v after %d", e.Seq, e.At, last)
				}
				last = e.Seq
				if _, ok := e.Value.(actors.PeerBanned); ok {
					seen++
				}
				if seen == all {
					break
				}
			}
			quick <- seen
		}()
		goOn := make(chan struct{})
		slow := make(chan [2]uint64)
		go func() {
			var seen, lost uint64
			for e := range n.Events(t.Context()) {
				switch v := e.Value.(type) {
				case actors.PeerBanned:
					if seen++; seen == 1 {
						<-goOn
					}
				case gamelan.Lost:
					lost += v.N
				}
				if seen+lost >= all {
					break
				}
			}
			slow <- [2]uint64{seen, lost}
		}()
		synctest.Wait()
		for i := range all {
			if err := n.Peers().Ban(t.Context(), identity.NodeID{1, byte(i), byte(i >> 8)}, time.Hour, "a test"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got := <-quick; got != all {
			t.Errorf("got %d events, want %d", got, all)
		}
		close(goOn)
		if got := <-slow; got[0] != 257 || got[1] != all-257 {
			t.Errorf("got %d events and %d lost, want 257 and %d", got[0], got[1], all-257)
		}
	})
}

// TestEventsEndWithTheirContext has more events waiting than the reader wants.
func TestEventsEndWithTheirContext(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		seen := make(chan int)
		go func() {
			count := 0
			for range n.Events(ctx) {
				if count++; count == 1 {
					for i := range 10 {
						n.Peers().Ban(t.Context(), identity.NodeID{2, byte(i)}, time.Hour, "a test")
					}
					cancel()
				}
			}
			seen <- count
		}()
		synctest.Wait()
		if err := n.Peers().Ban(t.Context(), identity.NodeID{1}, time.Hour, "a test"); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != 1 {
			t.Errorf("got %d events, want none after the end of the context", got-1)
		}
	})
}
