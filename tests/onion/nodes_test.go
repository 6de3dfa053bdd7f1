package onion

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// TestNodesOverSocks has two nodes that dial through a proxy alone: 1,000 messages each way,
// every one confirmed and heard in order.
func TestNodesOverSocks(t *testing.T) {
	p := microsocks(t)
	type end struct {
		*gamelan.Node
		heard chan gamelan.Received
	}
	start := func() end {
		e := end{heard: make(chan gamelan.Received, 1000)}
		n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Floor: gamelan.NoFloor},
			gamelan.WithTransport(newSocks(t, p, socks.Options{})), gamelan.WithLogger(slog.New(slog.DiscardHandler)),
			gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { e.heard <- m })))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		e.Node = n
		return e
	}
	a, b := start(), start()
	peer, err := peerstore.ParseSeed(b.Seed())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Peers().Add(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	ref, err := a.Dial(t.Context(), b.ID())
	if err != nil {
		t.Fatal(err)
	}
	if ref.Transport != "socks" {
		t.Errorf("got a connection by %s, want socks", ref.Transport)
	}
	// Once b has confirmed a message, b's node has the connection, too, and can send.
	if outcome, err := a.Send(t.Context(), b.ID(), []byte{0, 0}); err != nil || outcome.Kind != gamelan.Confirmed {
		t.Fatalf("the first message: got %v, %v, want it confirmed", outcome, err)
	}
	<-b.heard
	var wg sync.WaitGroup
	for _, way := range []struct{ from, to end }{{a, b}, {b, a}} {
		wg.Go(func() {
			var pending []*gamelan.Pending[gamelan.Outcome]
			for i := range 1000 {
				sent, err := way.from.Submit(t.Context(), way.to.ID(), []byte{byte(i >> 8), byte(i)})
				if err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
				pending = append(pending, sent)
			}
			for i, sent := range pending {
				if outcome := sent.Wait(t.Context()); outcome.Kind != gamelan.Confirmed {
					t.Errorf("message %d: got %v, want it confirmed", i, outcome)
					return
				}
				if m := <-way.to.heard; m.Body[0] != byte(i>>8) || m.Body[1] != byte(i) {
					t.Errorf("message %d: got %x", i, m.Body)
				}
			}
		})
	}
	wg.Wait()
}
