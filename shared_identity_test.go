package gamelan_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// TestSameIdentityTwice has two nodes with one identity hold a third: that one
// warns, and neither when the peer is alone nor long after the end of it.
func TestSameIdentityTwice(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		secret := gamelantest.Secret(77)
		a, one := net.Start(gamelan.Config{}), net.Start(gamelan.Config{Secret: secret})
		warned := func() bool {
			for _, w := range a.Inspection().Node(t.Context()).Warnings.Texts() {
				if strings.Contains(w, "two nodes may use the identity of "+one.ID().String()) {
					return true
				}
			}
			return false
		}
		net.Introduce(one, a)
		release := one.Protect(a.ID(), "test")
		for range 5 { // the same node comes back
			gamelantest.Eventually(t, time.Minute, "a connection", func() bool { return len(a.Connections()) == 1 })
			net.Cut(a, one)
			time.Sleep(2 * time.Second)
		}
		if warned() {
			t.Error("got a warning of one node, want none")
		}
		quiet := slog.New(slog.DiscardHandler)
		two, err := gamelan.Start(t.Context(), gamelan.Config{Secret: secret, Listen: []string{"/memory/77"}, Floor: gamelan.NoFloor},
			gamelan.WithTransport(net.Transport()), gamelan.WithLogger(quiet)) // not in the system of the others, where its name is in use
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close(context.Background())
		if _, err := two.Peers().AddSeed(t.Context(), a.Seed()); err != nil {
			t.Fatal(err)
		}
		release()
		for i := range 4 { // about as often as a node comes back that has too few connections
			if _, err := []*gamelan.Node{two, one.Node}[i%2].Dial(t.Context(), a.ID()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(31 * time.Second)
		}
		if !warned() {
			t.Error("got no warning of two nodes with one identity")
		}
		if err := two.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Minute)
		if warned() {
			t.Error("got the warning long after the end of the second node, want none")
		}
	})
}
