package gamelantest_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

var t *testing.T // the parameter of your test

// A node of another network refuses connections. The error of the dial says why.
func ExampleProfile() {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		alice := net.Start(gamelan.Config{})
		stranger := net.Start(gamelan.Config{Profile: gamelantest.Profile(protocol.Igor)})
		net.Introduce(alice, stranger)
		if _, err := alice.Dial(t.Context(), stranger.ID()); err == nil {
			t.Error("got a connection to a node of another network")
		}
	})
}

// An actor of the node itself fails: its parent restarts it, and the peer stays connected.
func ExampleSees() {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		alice, bob := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(alice, bob)
		if !gamelantest.Crash(bob.Node, "connectivity", "a bug") {
			t.Fatal("got no such actor")
		}
		gamelantest.Sees(t, bob.Node, gamelantest.Aftermath{
			Actor:     "connectivity",                // its path in the tree
			Restarts:  1,                             // since the start of the node
			Panic:     "a bug",                       // part of the text of its last panic
			Degraded:  "",                            // the node is healthy; only panics on messages of peers, and those of your code, degrade it
			Connected: []identity.NodeID{alice.ID()}, // nothing else was lost
		})
	})
}

// Two nodes lose each other for ten seconds of virtual time. What was
// sent meanwhile arrives when they are back.
func Example() {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		alice := net.Start(gamelan.Config{})
		bob := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(alice, bob)

		net.Cut(alice, bob)
		net.Partition(alice, bob)
		pending, err := alice.Submit(t.Context(), bob.ID(), []byte("are you there?"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		net.Heal(alice, bob)

		if out := pending.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want confirmed", out)
		}
		gamelantest.Eventually(t, time.Second, "the message", func() bool { return heard.Len() == 1 })
		gamelantest.Healed(t, bob.Node)
	})
}
