package finding

import (
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// unkept returns the nodes to which n has a connection that no part keeps.
func unkept(n *gamelantest.Node, all []*gamelantest.Node) []*gamelantest.Node {
	return slices.DeleteFunc(slices.Clone(all), func(x *gamelantest.Node) bool {
		_, ok := n.Connection(x.ID())
		return !ok || len(nodetest.Trunk(n).KeepOpenTags(x.ID())) > 0
	})
}

// TestBubbleListsAreReadAndHungUp has a node read the lists of more nodes than it wants to
// stay connected to. It hangs up those that are of no other use, and one that it has sent a
// message later. Nobody is banned for it, and none is dialled again.
func TestBubbleListsAreReadAndHungUp(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{})
		all := []*gamelantest.Node{seed}
		for range 9 {
			x := net.Start(gamelan.Config{})
			net.Connect(x, seed)
			all = append(all, x)
		}
		cfg := finding(seed)
		cfg.Floor, cfg.Discovery.Random, cfg.DHT = 3, 1, &gamelan.DHTConfig{Neighbours: 1}
		n := net.Start(cfg)
		gamelantest.Eventually(t, 20*time.Second, "lists of more nodes than the sets have places", func() bool {
			return len(unkept(n, all)) > 5
		})
		time.Sleep(5 * time.Second) // the sets are complete
		for _, x := range unkept(n, all) {
			if ref, _ := n.Connection(x.ID()); ref.Useful() {
				t.Errorf("got the connection to node %d useful, although only its list was read", x.Number)
			}
		}
		last := unkept(n, all)
		used := last[len(last)-1]
		if got, err := n.DHT().Ping(t.Context(), used.ID()); err != nil {
			t.Fatalf("got %v, %v, want a pong", got, err)
		}
		sent := time.Now()
		time.Sleep(2 * time.Minute)
		// One more connection may be left: the floor.
		if got := unkept(n, all); !slices.Contains(got, used) || len(got) > 2 {
			t.Errorf("got %d connections that no part keeps after 2 minutes, the used one among them: %v", len(got), slices.Contains(got, used))
		}
		if got := len(n.Connections()); got < cfg.Floor {
			t.Errorf("got %d connections, below the floor of %d", got, cfg.Floor)
		}
		for _, x := range all[1:] { // other connections, so that the floor is no reason to keep that one
			if _, ok := n.Connection(x.ID()); !ok {
				net.Connect(x, n)
			}
		}
		time.Sleep(time.Until(sent.Add(netsync.UsedFor + time.Minute)))
		if _, ok := n.Connection(used.ID()); ok {
			t.Errorf("got the used connection still open, %v after its use", time.Since(sent))
		}
		unbanned(t, append(all, n)...)
	})
}
