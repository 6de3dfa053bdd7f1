package gamelan_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// A program reads outcomes with the names of this package alone.
func TestOutcomeNames(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(newEcho))
		net.Connect(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("hello"))
		if err != nil || out.Kind != gamelan.Confirmed || out.Reason != gamelan.ReasonNone {
			t.Errorf("got %v, %v, want confirmed", out, err)
		}
		out, err = a.Send(t.Context(), gamelantest.Secret(99).NodeID(), []byte("hello"))
		if err != nil || out.Kind != gamelan.Failed || out.Reason != gamelan.NoPeer {
			t.Errorf("got %v, %v, want failed: no peer", out, err)
		}
	})
}
