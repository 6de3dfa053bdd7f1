package gamelantest_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
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
