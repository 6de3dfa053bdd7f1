package gamelan_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestPeerComesBackElsewhere has a peer lose its network without a word, and come back at another
// address. The new connection replaces the old one, which nobody has closed, and messages go both
// ways at once.
func TestPeerComesBackElsewhere(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		taken := func() gamelan.Option { return gamelan.WithHandler(gamelantest.NewCollector().New) }
		secret := gamelantest.Secret(77)
		a, before := net.Start(gamelan.Config{}, taken()), net.Start(gamelan.Config{Secret: secret}, taken())
		net.Connect(before, a)
		net.Partition(a, before)
		time.Sleep(time.Second)
		old, _ := a.Connection(before.ID())
		after, err := gamelan.Start(t.Context(), gamelan.Config{Secret: secret, Listen: []string{"/memory/77"}, Floor: gamelan.NoFloor},
			gamelan.WithTransport(net.Transport()), gamelan.WithLogger(slog.New(slog.DiscardHandler)), taken())
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close(context.Background())
		if _, err := after.Peers().AddSeed(t.Context(), a.Seed()); err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct{ from, to *gamelan.Node }{{after, a.Node}, {a.Node, after}} {
			began := time.Now()
			out, err := way.from.Send(t.Context(), way.to.ID(), []byte("x"))
			if took := time.Since(began); err != nil || out.Kind != protocol.Confirmed || took > time.Second {
				t.Errorf("got %v, %v after %v, want it confirmed at once", out, err, took)
			}
		}
		if now, ok := a.Connection(before.ID()); !ok || old == nil || now.ID == old.ID {
			t.Errorf("got the connection %v after %v, want another one", now, old)
		}
		net.HealAll()
	})
}

// TestLargeMessageOnASlowLine sends 4 MB over 256 kbit/s with a buffer of 256 KiB. Pings wait behind
// the message for long. The connection stays, and the message is confirmed.
func TestLargeMessageOnASlowLine(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Connect(a, b)
		net.SetLink(memory.Link{Latency: 20 * time.Millisecond, Bandwidth: 256_000 / 8, Buffer: 256 << 10})
		before, _ := a.Connection(b.ID())
		began := time.Now()
		out, err := a.Send(t.Context(), b.ID(), make([]byte, 4_000_000))
		if err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("got %v, %v after %v, want confirmed", out, err, time.Since(began))
		}
		if now, ok := a.Connection(b.ID()); !ok || now.ID != before.ID {
			t.Errorf("got the connection %v, want %v still", now, before)
		}
		t.Logf("confirmed after %v", time.Since(began))
	})
}
