package tests

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestNetwork starts nodes at the same time: within two minutes each has complete sets, and
// nearly all of its neighbours are the true ones. Then half of the nodes stop, and within
// five minutes it is so again. With GAMELAN_LONG the network has 200 nodes.
//
// conforms: dht 124, 126; V 26
func TestNetwork(t *testing.T) {
	size := 30
	switch {
	case os.Getenv("GAMELAN_LONG") != "" && !raceEnabled:
		size = 200
	case raceEnabled:
		size = 26
	}
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) {
		n := startNetwork(t, size)
		n.complete(2*time.Minute, "after the start")
		for _, x := range n.nodes[size/2:] {
			if err := x.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		n.nodes = n.nodes[:size/2]
		n.complete(5*time.Minute, "after half of the nodes stopped")
	})
	t.Logf("%d nodes in %v", size, time.Since(began).Round(time.Millisecond))
}

// network is a network of nodes that look after themselves.
type network struct {
	t     *testing.T
	net   *gamelantest.Network
	nodes []*gamelantest.Node
}

func startNetwork(t *testing.T, size int) *network {
	n := &network{t: t, net: gamelantest.NewNetwork(t)}
	var all []string
	for i := range size {
		all = append(all, fmt.Sprintf("%s::/memory/%d", gamelantest.Secret(i+1).PublicKey(), i+1))
	}
	for range size {
		n.nodes = append(n.nodes, n.net.Start(gamelan.Config{Floor: 8, Seeds: all}, quiet))
	}
	return n
}

// complete waits until all nodes have complete sets and 95 % of the neighbours are the true
// ones, and says how long that took.
func (n *network) complete(limit time.Duration, when string) {
	n.t.Helper()
	places := min(8, len(n.nodes)-1)
	random := min(4, len(n.nodes)-1-places)
	began := time.Now()
	var full, right, all int
	for {
		full, right, all = n.count(places, random)
		if full == len(n.nodes) && 100*right >= 95*all {
			break
		}
		if time.Since(began) >= limit {
			n.t.Errorf("%s: got %d of %d nodes with complete sets and %d of %d true neighbours after %v, want all and 95 %%", when, full, len(n.nodes), right, all, limit)
			break
		}
		time.Sleep(time.Second)
	}
	took := time.Since(began)
	time.Sleep(limit - took) // what else is done is counted too
	links, most := 0, 0
	for _, x := range n.nodes {
		links += len(x.Connections())
		most = max(most, len(x.Connections()))
	}
	n.t.Logf("%s: complete after %v: %d of %d neighbours are the true ones; after %v %.1f connections each, at most %d",
		when, took, right, all, limit, float64(links)/float64(len(n.nodes)), most)
}

// count returns how many nodes have complete sets, and how many of the true neighbours are
// neighbours.
func (n *network) count(places, random int) (full, right, all int) {
	for _, x := range n.nodes {
		s := x.DHT().Network()
		if len(s.Neighbour.Members) >= places && len(s.Random.Members) >= random {
			full++
		}
		for _, id := range n.nearest(x, places) {
			all++
			for _, m := range s.Neighbour.Members {
				if m.NodeID == id.String() {
					right++
				}
			}
		}
	}
	return full, right, all
}

// nearest returns the nodes of the network that are nearest to x.
func (n *network) nearest(x *gamelantest.Node, size int) []identity.NodeID {
	var ids []identity.NodeID
	for _, y := range n.nodes {
		if y != x {
			ids = append(ids, y.ID())
		}
	}
	slices.SortFunc(ids, func(a, b identity.NodeID) int { return x.ID().Distance(a).Cmp(x.ID().Distance(b)) })
	return ids[:size]
}

// TestSetsAndFloorShareTheWork has a node with a hundred peers, whose dials take three
// seconds each, fill its sets: it dials no more peers than it wants, although it is below
// its floor meanwhile. When its sets may be small, the floor is reached all the same.
func TestSetsAndFloorShareTheWork(t *testing.T) {
	for _, c := range []struct {
		name        string
		cfg         gamelan.Config
		least, most int // connections
	}{
		{"sets above the floor", gamelan.Config{Floor: 8}, 12, 12},
		{"sets below the floor", gamelan.Config{Floor: 12, DHT: &gamelan.DHTConfig{Neighbours: 2}, Discovery: gamelan.DiscoveryConfig{Random: 1}}, 12, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				crowd := &crowd{
					Transport: net.Transport(), net: net, running: map[int]bool{}, started: map[int]bool{},
					takes: func(int) (time.Duration, error) { return 3 * time.Second, nil },
				}
				c.cfg.Secret, c.cfg.Listen = gamelantest.Secret(1), []string{"/memory/1"}
				for n := 1001; n <= 1100; n++ {
					c.cfg.Seeds = append(c.cfg.Seeds, fmt.Sprintf("%s::/memory/%d", gamelantest.Secret(n).PublicKey(), n))
				}
				node, err := gamelan.Start(t.Context(), c.cfg, gamelan.WithSystem(net.System), gamelan.WithTransport(crowd))
				if err != nil {
					t.Fatal(err)
				}
				defer node.Close(context.Background())
				time.Sleep(10 * time.Minute)
				if got := len(node.Connections()); got < c.least || got > c.most {
					t.Errorf("got %d connections, want %d to %d", got, c.least, c.most)
				}
				if got := crowd.dials(); got > c.most+8 { // 8 are under way at once
					t.Errorf("got %d dials, want at most %d", got, c.most+8)
				}
				t.Logf("%d connections with %d dials", len(node.Connections()), crowd.dials())
			})
		})
	}
}
