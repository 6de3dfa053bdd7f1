package network

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestNetwork starts nodes at the same time, all of which know one seed: within two minutes each has complete sets, and
// nearly all of its neighbours are the true ones. Then half of the nodes stop, and within
// five minutes it is so again. With GAMELAN_LONG the network has 200 nodes.
func TestNetwork(t *testing.T) {
	size := 26 // after half have stopped each still has a set of 8 and one of 4
	if os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled {
		size = 200
	}
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) {
		n := startNetwork(t, size)
		n.complete(2*time.Minute, "after the start")
		stopping := time.Now()
		var stops sync.WaitGroup
		for _, x := range n.nodes[size/2:] {
			stops.Go(func() {
				if err := x.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		stops.Wait()
		t.Logf("half of the nodes stopped in %v", time.Since(stopping))
		n.nodes = n.nodes[:size/2]
		n.complete(5*time.Minute, "after half of the nodes stopped")
	})
	t.Logf("%d nodes in %v", size, time.Since(began).Round(time.Millisecond))
}

// TestNeighboursAfterACrash has the actor of the sets and the one that asks for peers fail, soon after
// the start and when the connections that nobody needs are hung up: the next incarnations have
// the same sets at once, and dial nobody for them.
func TestNeighboursAfterACrash(t *testing.T) {
	// Between two looks for what to hang up, which come every 20 s, and after the rest of what the one before the last has hung up.
	for name, after := range map[string]time.Duration{"young": 3*time.Minute + 15*time.Second, "settled": 10*time.Minute + 15*time.Second} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				n := startNetwork(t, 16)
				time.Sleep(after)
				for i, x := range n.nodes {
					n.crash(x, []string{"discovery/neighbours", "discovery/netsync"}[i%2])
				}
			})
		})
	}
}

// crash has an actor of a node of the network fail.
func (n *network) crash(x *gamelantest.Node, path string) {
	t := n.t
	t.Helper()
	dials := func() (count int) {
		for _, y := range n.nodes {
			count += len(x.Inspection().Peer(y.ID()).Attempts)
		}
		return count
	}
	before, dialled := x.DHT().Network(), dials()
	if !gamelantest.Crash(x.Node, path, "a bug") {
		t.Fatal("there is no such actor")
	}
	gamelantest.Healed(t, x.Node)
	after := x.DHT().Network()
	if !slices.Equal(after.Neighbour.Members, before.Neighbour.Members) || len(after.Neighbour.Members) != 8 {
		t.Errorf("got neighbours %v, want %v", after.Neighbour.Members, before.Neighbour.Members)
	}
	if !slices.Equal(after.Random.Members, before.Random.Members) || len(after.Random.Members) != 4 {
		t.Errorf("got random nodes %v, want %v", after.Random.Members, before.Random.Members)
	}
	if more := dials() - dialled; more != 0 {
		t.Errorf("got %d dials at %v, want none", more, time.Now())
		for _, y := range n.nodes {
			t.Logf("to node %d: %+v", y.Number, x.Inspection().Peer(y.ID()).Attempts)
		}
	}
}

// network is a network of nodes that look after themselves.
type network struct {
	t     *testing.T
	net   *gamelantest.Network
	nodes []*gamelantest.Node
}

func startNetwork(t *testing.T, size int) *network {
	n := &network{t: t, net: kit.Asking(t)}
	for i := range size {
		cfg := gamelan.Config{Floor: 8}
		if i > 0 {
			cfg.Seeds = []string{n.nodes[0].Seed()}
		}
		n.nodes = append(n.nodes, n.net.Start(cfg, kit.Quiet))
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
		{"sets above the floor", gamelan.Config{Floor: 8, Discovery: gamelan.DiscoveryConfig{NoSync: true, NoJoin: true}}, 12, 12},
		{"sets below the floor", gamelan.Config{Floor: 12, DHT: &gamelan.DHTConfig{Neighbours: 2}, Discovery: gamelan.DiscoveryConfig{Random: 1, NoSync: true, NoJoin: true}}, 12, 20},
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

// TestWhoIsNeverANeighbour has a node know, and be connected to, peers of all kinds: only
// one is dialled for the sets and is in one, until the others become like it.
//
// conforms: dht 125
func TestWhoIsNeverANeighbour(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		start := func(cfg gamelan.Config) *gamelantest.Node { return net.Start(cfg, kit.Quiet) }
		client, allowed, excluded := start(gamelan.Config{Client: true}), start(gamelan.Config{}), start(gamelan.Config{})
		banned, without, good := start(gamelan.Config{}), start(gamelan.Config{NoDHT: true}), start(gamelan.Config{})
		node := start(gamelan.Config{
			Floor: 1, Allow: []string{allowed.ID().String()}, ExcludeDial: []string{excluded.Addr.String()},
			Discovery: gamelan.DiscoveryConfig{NoJoin: true, NoSync: true},
		})
		if err := node.Peers().Ban(t.Context(), banned.ID(), 5*time.Minute, "test"); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*gamelantest.Node{client, allowed, excluded, without} {
			net.Connect(x, node)
		}
		for _, x := range []*gamelantest.Node{allowed, excluded, banned, good} {
			net.Introduce(node, x)
		}
		members := func() (list []identity.NodeID) {
			s := node.DHT().Network()
			for _, m := range slices.Concat(s.Neighbour.Members, s.Random.Members) {
				id, err := identity.ParseNodeID(m.NodeID)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, id)
			}
			slices.SortFunc(list, identity.NodeID.Compare)
			return list
		}
		want := func(when string, nodes ...*gamelantest.Node) {
			t.Helper()
			var ids []identity.NodeID
			for _, x := range nodes {
				ids = append(ids, x.ID())
			}
			slices.SortFunc(ids, identity.NodeID.Compare)
			if got := members(); !slices.Equal(got, ids) {
				t.Errorf("%s: got %v in the sets, want %v", when, got, ids)
			}
		}
		time.Sleep(3 * time.Minute)
		want("at first", good)
		if err := node.Peers().Disallow(t.Context(), allowed.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Minute) // the ban ends, and a tick comes
		want("without a ban and an allow list", good, allowed, banned)
		if err := node.Peers().Allow(t.Context(), good.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		want("with another one allowed", allowed, banned)
	})
}
