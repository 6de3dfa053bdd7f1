package network

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleMoreProtocols has a node accept more protocols than an identity message holds. Peers
// connect all the same, and know them all; so they do of those that come and go later.
//
// conforms: V 41
func TestBubbleMoreProtocols(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		newNamer := func(*gamelan.Node) actor.Actor { return kit.Namer{} }
		id := func(i int) protocol.ID { return protocol.ID(fmt.Sprintf("/%s/%02d", strings.Repeat("x", 46), i)) }
		const many = 60
		var opts []gamelan.Option
		for i := range many {
			opts = append(opts, gamelan.WithProtocol(id(i), newNamer))
		}
		a, b, c := net.Start(gamelan.Config{}, opts...), net.Start(gamelan.Config{}), net.Start(gamelan.Config{NoDHT: true})
		knows := func(n *gamelantest.Node, want int, also ...protocol.ID) {
			t.Helper()
			with, ok := n.Connection(a.ID())
			if !ok {
				t.Fatal("not connected")
			}
			got := 0
			for _, p := range with.Listed() {
				if strings.Contains(string(p), "xxx") {
					got++
				}
			}
			if got != want {
				t.Errorf("node %d knows %d protocols, want %d", n.Number, got, want)
			}
			for _, p := range also {
				if !with.Accepts(p) {
					t.Errorf("node %d: got %s unknown", n.Number, p)
				}
			}
		}
		for _, n := range []*gamelantest.Node{b, c} {
			net.Connect(n, a)
			synctest.Wait()
			knows(n, many, protocol.DHTMarker, protocol.MessagingID)
			with, _ := n.Connection(a.ID())
			if listed := len(with.Protocols); listed < 10 || listed > 20 || !slices.Contains(with.Protocols, id(0)) {
				t.Errorf("got an identity message with %d protocols, want as many as there is room for, the oldest first", listed)
			}
			if with.Useful() {
				t.Error("got a list that makes a connection useful")
			}
		}
		if err := a.Register(t.Context(), id(many), newNamer); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if err := a.Unregister(t.Context(), id(i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		knows(b, many-4, id(many))
		knows(c, many-4, id(many))

		// A marker says that the node cannot keep what it receives.
		full := func(is bool) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			for _, n := range []*gamelantest.Node{b, c} {
				if with, ok := n.Connection(a.ID()); !ok || with.Accepts(protocol.FullMarker) != is {
					t.Errorf("node %d: got full %v, want %v", n.Number, !is, is)
				}
			}
		}
		full(false)
		nodetest.Trunk(a.Node).SetFull(true)
		if err := a.Unregister(t.Context(), id(many)); err != nil { // any change has the list told
			t.Fatal(err)
		}
		full(true)
		nodetest.Trunk(a.Node).SetFull(false)
		if err := a.Register(t.Context(), id(many), newNamer); err != nil {
			t.Fatal(err)
		}
		full(false)
	})
}
