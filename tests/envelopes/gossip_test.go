package envelopes

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

const gossipType = 1001

// gossipTo is a message for all who are connected but one.
func gossipTo(news string, except ...identity.NodeID) dht.Message {
	return dht.Message{To: dht.Propagate{Exclude: except}, Type: gossipType, Body: []byte(news)}
}

// gossips remembers who told whom, and who heard it from whom: copies never come
// that far.
type gossips struct {
	mu    sync.Mutex
	told  map[[2]identity.NodeID]int // from, to
	heard map[identity.NodeID][]identity.NodeID
}

// options are those of a node that relays what it hears, but not to the one it
// has it from.
func (g *gossips) options(node identity.NodeID) []gamelan.Option {
	return []gamelan.Option{
		gamelan.WithType(gossipType, func(n *gamelan.Node) actor.Actor { return passer{n, g} }),
		gamelan.WithLayer(dht.BeforeVerify, func(next dht.Handler) dht.Handler {
			return func(m *dht.Incoming) dht.Verdict {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.told[[2]identity.NodeID{m.Source, node}]++
				return next(m)
			}
		}),
	}
}

// clear forgets all.
func (g *gossips) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told, g.heard = make(map[[2]identity.NodeID]int), make(map[identity.NodeID][]identity.NodeID)
}

type passer struct {
	node *gamelan.Node
	*gossips
}

func (g passer) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		return
	}
	g.mu.Lock()
	g.heard[g.node.ID()] = append(g.heard[g.node.ID()], m.Peer)
	g.mu.Unlock()
	g.node.DHT().SendFrom(c, 0, gossipTo(string(m.Body), m.Peer))
}

// TestBubbleGossip has news in clear spread over 40 nodes by their handlers:
// everybody hears it once, nobody gets it back from one whom he told first, and
// each connection over which nobody heard it carries two copies, which are
// dropped.
func TestBubbleGossip(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const count, more = 40, 60 // nodes, and connections beyond those of a tree
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		gossip := new(gossips)
		nodes := make([]*gamelantest.Node, count)
		for i := range nodes {
			node := gamelantest.Secret(i + 1).PublicKey().NodeID()
			nodes[i] = net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, gossip.options(node)...)
		}
		links, degree := connectSome(net, nodes, more)
		if most := slices.Max(degree); most > dht.PropagationFactor {
			t.Fatalf("a node has %d connections, and a message goes to %d: take another seed", most, dht.PropagationFactor)
		}
		first, last := nodes[0], nodes[count-1]
		tell := func(n *gamelantest.Node, news string) (copies int) {
			gossip.clear()
			report, err := n.DHT().Send(t.Context(), gossipTo(news))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			return len(report.Copies)
		}

		// Over each connection both ways, but to nobody who has told it first.
		copies := 2*links - (count - 1)
		tell(first, "one")
		wantSpread(t, nodes, gossip, first, copies)
		wantFates(t, nodes, copies, count-1)

		// The same bytes are the same news, whoever says them: the neighbours
		// drop them, and pass nothing on.
		again := tell(last, "one")
		if again != degree[count-1] || len(gossip.heard) > 0 {
			t.Errorf("the same news again: got %d copies, heard by %d, want %d, by nobody", again, len(gossip.heard), degree[count-1])
		}
		wantFates(t, nodes, copies+again, count-1)

		tell(last, "two")
		wantSpread(t, nodes, gossip, last, copies)
		wantFates(t, nodes, 2*copies+again, 2*(count-1))
		kit.WantNoCredit(t, nodes...)
	})
}

// wantSpread checks that everybody heard the news once, but for the one with whom
// it began, in so many copies, and none of them to one who had told it first.
func wantSpread(t *testing.T, nodes []*gamelantest.Node, g *gossips, first *gamelantest.Node, copies int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range nodes {
		from := g.heard[n.ID()]
		switch {
		case n == first && len(from) != 0:
			t.Errorf("node %d: got its own news from %v", n.Number, from)
		case n != first && len(from) != 1:
			t.Errorf("node %d: got the news from %v, want it once", n.Number, from)
		case n != first && g.told[[2]identity.NodeID{n.ID(), from[0]}] != 0:
			t.Errorf("node %d: told it to %s, from whom it had it", n.Number, from[0])
		}
	}
	got := 0
	for way, n := range g.told {
		if got += n; n != 1 {
			t.Errorf("%s told %s %d times, want once", way[0], way[1], n)
		}
	}
	if got != copies {
		t.Errorf("got %d copies, want %d", got, copies)
	}
}

// wantFates checks that all copies that were ever sent are confirmed, and how they
// ended.
func wantFates(t *testing.T, nodes []*gamelantest.Node, copies, delivered int) {
	t.Helper()
	sent, confirmed := 0, 0
	got := make(map[dht.Reason]int)
	for _, n := range nodes {
		for _, r := range n.DHT().Sends() {
			sent += len(r.Copies)
			confirmed += r.Count(protocol.Confirmed)
		}
		for _, c := range nodetest.DHT(n).Counts() {
			got[c.Reason] += int(c.Count)
		}
	}
	if sent != copies || confirmed != copies {
		t.Errorf("got %d copies sent, %d of them confirmed, want %d", sent, confirmed, copies)
	}
	want := map[dht.Reason]int{dht.Delivered: delivered, dht.Duplicate: copies - delivered}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// connectSome connects each node to one before it and then some pairs more. It
// returns how many connections there are, and how many each node has.
func connectSome(net *gamelantest.Network, nodes []*gamelantest.Node, more int) (links int, degree []int) {
	linked, degree := make(map[[2]int]bool), make([]int, len(nodes))
	random := rand.New(rand.NewPCG(1, 0))
	connect := func(a, b int) {
		pair := [2]int{min(a, b), max(a, b)}
		if a == b || linked[pair] {
			return
		}
		linked[pair] = true
		degree[a]++
		degree[b]++
		net.Connect(nodes[a], nodes[b])
	}
	for i := 1; i < len(nodes); i++ {
		connect(i, random.IntN(i))
	}
	for len(linked) < len(nodes)-1+more {
		connect(random.IntN(len(nodes)), random.IntN(len(nodes)))
	}
	return len(linked), degree
}
