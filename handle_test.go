package gamelan_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestHandle hears plain messages and those of the DHT with functions, and refuses
// what is not theirs.
func TestHandle(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var plain, letters []string
		b := net.Start(gamelan.Config{},
			gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { plain = append(plain, string(m.Body)) })),
			gamelan.WithType(1001, gamelan.Handle(func(m dht.Received) { letters = append(letters, string(m.Body)) })))
		a := net.Start(gamelan.Config{})
		net.Connect(a, b)
		if out, err := a.Send(t.Context(), b.ID(), []byte("to the handler")); err != nil || out.Kind != gamelan.Confirmed {
			t.Fatalf("got %v, %v, want confirmed", out, err)
		}
		r, err := a.DHT().Send(t.Context(), dht.Message{To: dht.Direct{Peer: b.ID()}, Type: 1001, Body: []byte("to the type")})
		if err != nil || r.Count(gamelan.Confirmed) != 1 {
			t.Fatalf("got %v, %v, want confirmed", &r, err)
		}
		synctest.Wait()
		if len(plain) != 1 || plain[0] != "to the handler" || len(letters) != 1 || letters[0] != "to the type" {
			t.Errorf("got %q and %q, want one each", plain, letters)
		}
		pid, ok := b.Actor("handler")
		if !ok {
			t.Fatal("got no handler")
		}
		if _, err := supervisor.Ask[string](t.Context(), b.System(), pid, "a word"); !errors.Is(err, supervisor.ErrUnhandled) {
			t.Errorf("got %v, want what is no message refused", err)
		}
	})
}

// TestRegisterEndsWithItsContext does not wait for what a caller no longer wants.
func TestRegisterEndsWithItsContext(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		ignore := gamelan.Handle(func(gamelan.Received) {})
		_, spawned := n.Spawn(over, "idle", ignore)
		for what, err := range map[string]error{
			"Register": n.Register(over, "/test/1", ignore), "RegisterHandler": n.RegisterHandler(over, ignore), "Spawn": spawned,
			"RegisterType": n.DHT().RegisterType(over, 1001, ignore), "RPC": n.RPC().Unregister(over, "/test/rpc/1"),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want that the context is over", what, err)
			}
		}
	})
}

// TestHandleOfAnotherType gives WithHandler a function for the type of WithMessages. The node
// says once that the messages are dropped, and names both types.
func TestHandleOfAnotherType(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var log bytes.Buffer
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelan.Handle(func(gamelan.Message) { t.Error("got called") })),
			gamelan.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		a := net.Start(gamelan.Config{})
		net.Connect(a, b)
		for range 3 {
			if _, err := a.Send(t.Context(), b.ID(), []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := log.String(); strings.Count(got, "messages of peers are dropped") != 1 || !strings.Contains(got, "takes=gamelan.Message") || !strings.Contains(got, "came=actors.Received") {
			t.Errorf("got log %q, want one line with both types", got)
		}
	})
}
