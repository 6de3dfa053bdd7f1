package tests

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// kadNetwork starts nodes, each with a client of the key-value DHT, that know the first one.
func kadNetwork(t *testing.T, n int) (net *gamelantest.Network, nodes []*gamelantest.Node, clients []*kad.Client) {
	t.Helper()
	net = gamelantest.NewNetwork(t)
	for i := range n {
		node := net.Start(gamelan.Config{NoDHT: true})
		c, err := node.KV().Open(t.Context(), kad.Config{Name: "main"})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if _, err := c.Connect(t.Context(), nodes[0].Seed()); err != nil {
				t.Fatalf("node %d: %v", i+1, err)
			}
		}
		nodes, clients = append(nodes, node), append(clients, c)
	}
	return net, nodes, clients
}

// TestBubbleKad: what one node publishes, all others find over their connections.
func TestBubbleKad(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		_, _, clients := kadNetwork(t, 8)
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, c := range clients {
			value := fmt.Appendf(nil, "value of %d", i)
			r, err := c.Put(t.Context(), value)
			if err != nil {
				t.Fatalf("put %d: %v", i, err)
			}
			if r.Accepted != 7 {
				t.Errorf("put %d: got %d holders, want all 7 others", i, r.Accepted)
			}
			for j, other := range clients {
				got, err := other.Get(t.Context(), r.Key)
				if err != nil || !bytes.Equal(got.Value, value) {
					t.Fatalf("get of %d by %d: got %v, %v", i, j, got, err)
				}
			}
		}
	})
}
