package gamelan_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
)

type ear struct{ heard chan<- string }

func (e ear) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.Received); ok {
		e.heard <- string(m.Body)
	}
}

func start(t *testing.T, cfg gamelan.Config, heard chan<- string) *gamelan.Node {
	t.Helper()
	var opts []gamelan.Option
	if heard != nil {
		opts = append(opts, gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return ear{heard} }))
	}
	n, err := gamelan.Start(t.Context(), cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func TestTwoNodesOverTCP(t *testing.T) {
	heard := make(chan string, 100)
	a := start(t, gamelan.Config{}, nil)
	b := start(t, gamelan.Config{}, heard)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, err := a.Peers().AddSeed(ctx, b.Seed())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		out, err := a.Send(ctx, id, fmt.Appendf(nil, "message %d", i))
		if err != nil || out.Kind.String() != "confirmed" {
			t.Fatalf("send: got %v, %v, want confirmed", out, err)
		}
		if got, want := <-heard, fmt.Sprintf("message %d", i); got != want {
			t.Fatalf("heard: got %q, want %q", got, want)
		}
	}
	if c := shownConnection(t, a); c.Local != "127.0.0.1" || c.Handshake.Dial <= 0 || c.Handshake.Noise <= 0 || c.MessagesOut < 20 {
		t.Errorf("the connection: got from %q, set-up %+v, %d messages out", c.Local, c.Handshake, c.MessagesOut)
	}
	if c := shownConnection(t, b); c.Local != "127.0.0.1" || c.Handshake.Dial != 0 || c.MessagesIn < 20 {
		t.Errorf("the inbound end: got at %q, set-up %+v, %d messages in", c.Local, c.Handshake, c.MessagesIn)
	}
	for _, i := range a.Inspection().Tree().Snapshot() {
		t.Logf("%-90s %-12s depth %d handled %d", i.Path, i.State, i.Depth, i.Handled)
	}
}
