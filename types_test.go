package gamelan_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

func TestRegisterType(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, gamelan.WithType(1000, newEcho))
		if err := n.DHT().RegisterType(t.Context(), 1000, newEcho); !errors.Is(err, actors.ErrTypeTaken) || !strings.Contains(err.Error(), "type 1000") {
			t.Errorf("one that is taken: got %v, want %v, and which", err, actors.ErrTypeTaken)
		}
		if err := n.DHT().RegisterType(t.Context(), dht.TypePing, newEcho); !errors.Is(err, actors.ErrTypeTaken) {
			t.Errorf("the type of pings: got %v, want %v", err, actors.ErrTypeTaken)
		}
		if err := n.DHT().RegisterType(t.Context(), 1001, nil); err == nil {
			t.Error("no actor: got nil, want an error")
		}
		if err := n.DHT().UnregisterType(t.Context(), 1001); !errors.Is(err, actors.ErrNotRegistered) || !strings.Contains(err.Error(), "1001") {
			t.Errorf("nobody's: got %v, want %v, and which", err, actors.ErrNotRegistered)
		}
		if _, err := n.Spawn(t.Context(), "type-7", newEcho); !errors.Is(err, actors.ErrNameTaken) {
			t.Errorf("an actor with the name of one: got %v, want %v", err, actors.ErrNameTaken)
		}
		if err := n.Register(t.Context(), "type-1001", newEcho); err != nil {
			t.Errorf("a protocol with the name of one: got %v", err)
		}
		for _, kind := range []int32{1001, 0, -5} {
			if err := n.DHT().RegisterType(t.Context(), kind, newEcho); err != nil {
				t.Errorf("type %d: got %v", kind, err)
			}
		}
		for _, name := range []string{"type-1000", "type-1001", "type-0", "type--5", "protocol-type-1001"} {
			if _, ok := n.Actor(name); !ok {
				t.Errorf("got no actor %q", name)
			}
		}
		if err := n.DHT().UnregisterType(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		if _, ok := nodetest.DHT(n).Types.Get(1000); ok {
			t.Error("got somebody who handles an unregistered type")
		}
		if err := n.DHT().RegisterType(t.Context(), 1000, newEcho); err != nil {
			t.Errorf("again: got %v", err)
		}
		if !gamelantest.Crash(n.Node, "extensions", "on request") {
			t.Fatal("got no extensions")
		}
		gamelantest.Healed(t, n.Node)
		if _, ok := n.Actor("type-1000"); !ok {
			t.Error("got no actor after a restart of extensions")
		}
	})
}

// An actor that stops itself handles its type no more.
func TestTypeThatStopsItself(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
		for range 3 {
			if err := n.DHT().RegisterType(t.Context(), 7, func(*gamelan.Node) actor.Actor { return quitter{} }); err != nil && !errors.Is(err, actors.ErrNotRegistered) {
				t.Fatal(err)
			}
			synctest.Wait()
			if _, ok := nodetest.DHT(n).Types.Get(7); ok {
				t.Error("got a handler that has stopped")
			}
		}
	})
}

func TestNoDHT(t *testing.T) {
	n := start(t, gamelan.Config{NoDHT: true}, nil)
	if err := n.DHT().RegisterType(t.Context(), 1000, newEcho); !errors.Is(err, gamelan.ErrNoDHT) {
		t.Errorf("a type: got %v, want %v", err, gamelan.ErrNoDHT)
	}
	pass := func(next dht.Handler) dht.Handler { return next }
	cfg := gamelan.Config{Listen: []string{gamelan.ListenNowhere}, NoDHT: true}
	for name, o := range map[string]gamelan.Option{
		"type":       gamelan.WithType(1000, newEcho),
		"layer":      gamelan.WithLayer(dht.AfterDedup, pass),
		"send layer": gamelan.WithSendLayer(dht.BeforeWrite, func(next dht.SendHandler) dht.SendHandler { return next }),
	} {
		if _, err := gamelan.Start(context.Background(), cfg, o); !errors.Is(err, gamelan.ErrNoDHT) {
			t.Errorf("with a %s: got %v, want %v", name, err, gamelan.ErrNoDHT)
		}
	}
	cfg.NoDHT = false
	for name, o := range map[string]gamelan.Option{
		"no actor":    gamelan.WithType(1000, nil),
		"no layer":    gamelan.WithLayer(dht.AfterDedup, nil),
		"no position": gamelan.WithLayer(9, pass),
	} {
		if _, err := gamelan.Start(context.Background(), cfg, o); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}
