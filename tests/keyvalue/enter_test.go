package keyvalue

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleKadOpenThenConnect opens clients on two nodes that know nobody, and connects the
// nodes a minute later: both clients enter the network at once, without bootstrap addresses.
//
// conforms: kad 29
func TestBubbleKadOpenThenConnect(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}, kit.Quiet), net.Start(gamelan.Config{}, kit.Quiet)
		var clients []*gamelan.KVClient
		for _, n := range []*gamelantest.Node{a, b} {
			c, err := n.KV().Open(t.Context(), kad.Config{Name: "main"})
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		time.Sleep(time.Minute)
		net.Connect(a, b)
		time.Sleep(time.Second)
		for i, c := range clients {
			if s := c.Status(t.Context()); s.Contacts != 1 {
				t.Errorf("client %d: got %d contacts, %v; want the other one", i, s.Contacts, s.State)
			}
		}
	})
}

// TestBubbleKadConnectAtANewAddress connects a client to a peer that its node knows at an address
// where nobody is. The address that the user gives is tried.
func TestBubbleKadConnectAtANewAddress(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true})
		var last *gamelan.KVClient
		for _, n := range []*gamelantest.Node{a, b} {
			c, err := n.KV().Open(t.Context(), kad.Config{Name: "main"})
			if err != nil {
				t.Fatal(err)
			}
			last = c
		}
		key, _, _ := strings.Cut(a.Seed(), "::")
		if _, err := b.Peers().AddAt(t.Context(), key+"::/memory/60001"); err != nil {
			t.Fatal(err)
		}
		if got, err := last.Connect(t.Context(), a.Seed()); err != nil {
			t.Errorf("got %v, %v, want a connection at the given address", got, err)
		}
	})
}
