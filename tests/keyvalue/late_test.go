package keyvalue

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleKadConnectThenOpen opens clients on two nodes that are connected already, as
// those of a program with seeds are: both clients enter the network on that connection.
func TestBubbleKadConnectThenOpen(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}, kit.Quiet), net.Start(gamelan.Config{}, kit.Quiet)
		net.Connect(a, b)
		var clients []*gamelan.KVClient
		for _, n := range []*gamelantest.Node{a, b} {
			c, err := n.KV().Open(t.Context(), kad.Config{Name: "main"})
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
			time.Sleep(5 * time.Minute)
		}
		for i, c := range clients {
			if s := c.Status(t.Context()); s.Contacts != 1 {
				t.Errorf("client %d: got %d contacts, %v; want the other one", i, s.Contacts, s.State)
			}
		}
		put, err := clients[0].Put(t.Context(), []byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := clients[1].Get(t.Context(), put.Key); err != nil || string(got.Value) != "value" {
			t.Errorf("got %v, %v", got, err)
		}
		if n := len(a.Connections()); n != 1 {
			t.Errorf("got %d connections, want the first one", n)
		}
	})
}
