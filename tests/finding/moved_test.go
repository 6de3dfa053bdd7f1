package finding

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestBubbleDiscoverMoved has a node search for a peer that it knows under an address where
// nobody is any more: the search finds where the peer has moved to.
func TestBubbleDiscoverMoved(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b, moved := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		net.Connect(moved, b)
		key := gamelantest.Secret(3).PublicKey()
		old, err := peerstore.ParseSeed(key.String() + "::/memory/99")
		if err != nil {
			t.Fatal(err)
		}
		old.Flags = 0
		if err := a.Peers().Add(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if p, err := a.DHT().Discover(t.Context(), key); err != nil || len(p.Addresses) != 1 {
			t.Fatalf("before a dial: got %+v, %v, want what is known", p.Addresses, err)
		}
		if _, err := a.Dial(t.Context(), moved.ID()); err == nil {
			t.Fatal("dialled where nobody is")
		}
		time.Sleep(time.Second) // the store learns of the failed dial
		begin := time.Now()
		p, err := a.DHT().Discover(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, x := range p.Addresses {
			all = append(all, x.Addr.String())
		}
		if !strings.Contains(strings.Join(all, " "), "/memory/3") {
			t.Errorf("got the addresses %v after %v, want the new one", all, time.Since(begin))
		}
		if _, err := a.Dial(t.Context(), moved.ID()); err != nil {
			t.Errorf("after the search: %v", err)
		}
	})
}
