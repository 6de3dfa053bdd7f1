package network

import (
	"io"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleProtocolFallback opens substreams while the other side registers
// protocols: each speaks the first one that the peer accepts at that moment,
// on a connection from before.
func TestBubbleProtocolFallback(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		newNamer := func(*gamelan.Node) actor.Actor { return kit.Namer{} }
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithProtocol("name/1", newNamer))
		net.Connect(a, b)
		open := func(want protocol.ID) {
			t.Helper()
			s, err := a.OpenStream(t.Context(), b.ID(), "name/2", "name/1")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			heard, err := io.ReadAll(s)
			if s.Protocol != want || string(heard) != string(want) || err != nil {
				t.Errorf("got %s, heard %q, %v, want %s", s.Protocol, heard, err, want)
			}
		}
		open("name/1")
		if err := b.Register(t.Context(), "name/2", newNamer); err != nil {
			t.Fatal(err)
		}
		open("name/2")
		if err := b.Unregister(t.Context(), "name/2"); err != nil {
			t.Fatal(err)
		}
		open("name/1")
		if _, err := a.OpenStream(t.Context(), b.ID(), "name/3", "name/4"); err == nil {
			t.Error("nothing in common: got a stream")
		}
	})
}
