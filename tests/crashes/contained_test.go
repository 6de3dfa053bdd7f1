package crashes

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestDialerLosesAResult makes the dialer panic on the result of a dial. The
// panic is contained, since a peer has a part in the result, so the same
// incarnation goes on: it must know that the dial is over.
func TestDialerLosesAResult(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		f := &faults{seen: make(map[point]int)}
		a := net.Start(gamelan.Config{}, gamelan.WithFault(f.hit), gamelan.WithLogger(slog.New(slog.DiscardHandler)))
		b := net.Start(gamelan.Config{})
		net.Introduce(a, b)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := a.Dial(ctx, b.ID()); err != nil {
			t.Fatal(err)
		}
		var result point
		for _, p := range f.points() {
			if p.actor == "node/dialer" && strings.Contains(p.at, "dialResult") {
				result = p
			}
		}
		if result == (point{}) {
			t.Fatalf("got no result of a dial at %v, want one", f.points())
		}
		if err := a.Disconnect(ctx, b.ID()); err != nil {
			t.Fatal(err)
		}
		f.arm(result, 0)
		if _, err := a.Dial(ctx, b.ID()); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial whose result was lost: got %v, want an answer at once", err)
		}
		if !f.hasFired() {
			t.Errorf("got no panic at %v, want one", result)
		}
		if _, err := a.Dial(ctx, b.ID()); err != nil {
			t.Errorf("the next dial: %v", err)
		}
	})
}

// TestPingPanics makes the task panic that pings a connection. Without pongs
// nothing on it would be confirmed any more: it ends, and the next one confirms.
func TestPingPanics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		f := &faults{seen: make(map[point]int)}
		a := net.Start(gamelan.Config{}, gamelan.WithFault(f.hit), gamelan.WithLogger(slog.New(slog.DiscardHandler)))
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Introduce(a, b)
		f.arm(point{"node/conns/*", "task ping"}, 1)
		for range 100 {
			if f.hasFired() {
				break
			}
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			a.Send(ctx, b.ID(), []byte("in doubt, perhaps"))
			cancel()
		}
		if !f.hasFired() {
			t.Fatal("got no panic in the task that pings, want one")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := a.Send(ctx, b.ID(), []byte("afterwards")); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("afterwards: got %v, %v, want confirmed", out, err)
		}
	})
}
