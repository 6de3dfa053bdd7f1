package gamelan_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// clerk counts, panics when told to, and knows nothing else.
type clerk struct{ n int }

type (
	count   struct{}
	counted struct{ n int }
	fall    struct{}
	riddle  struct{}
)

func (a *clerk) Receive(c actor.Context) {
	switch c.Message().(type) {
	case count:
		a.n++
		c.Respond(counted{a.n})
	case fall:
		panic("told to")
	default:
		supervisor.Unhandled(c)
	}
}

func newClerk(*gamelan.Node) actor.Actor { return new(clerk) }

// An actor without a protocol is found by its name, restarted, and stopped
// without the node when it has failed too often.
func TestSpawn(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithActor("clerk", newClerk), gamelan.WithProtocol("/echo/1", newEcho))
		pid, ok := n.Actor("clerk")
		if !ok {
			t.Fatal("got no clerk")
		}
		sys := n.System()
		if r, err := supervisor.Ask[counted](t.Context(), sys, pid, count{}); err != nil || r.n != 1 {
			t.Fatalf("got %v, %v, want 1", r, err)
		}
		second, err := n.Spawn(t.Context(), "second", newClerk)
		if err != nil {
			t.Fatal(err)
		}
		if found, _ := n.Actor("second"); !found.Equal(second) {
			t.Errorf("got %v by name, want %v", found, second)
		}
		for name, want := range map[string]error{"clerk": actors.ErrNameTaken, "handler": actors.ErrNameTaken, "": actors.ErrBadName, ".": actors.ErrBadName, "..": actors.ErrBadName, "A/b": actors.ErrBadName} {
			if _, err := n.Spawn(t.Context(), name, newClerk); !errors.Is(err, want) {
				t.Errorf("%q: got %v, want %v", name, err, want)
			}
		}
		if pid, ok := n.Actor("/echo/1"); !ok || !strings.HasSuffix(pid.Id, "/extensions/echo-1") {
			t.Errorf("got %v by its protocol", pid)
		}
		for _, name := range []string{"nobody", "handler", "", "/echo/2"} {
			if pid, ok := n.Actor(name); ok {
				t.Errorf("%q: got %v, want none", name, pid)
			}
		}
		if err := n.UnregisterHandler(t.Context()); !errors.Is(err, actors.ErrNotRegistered) {
			t.Errorf("got %v, want that there is no handler", err)
		}
		start := time.Now()
		if _, err := supervisor.Ask[counted](t.Context(), sys, pid, fall{}); !errors.Is(err, supervisor.ErrFailed) {
			t.Errorf("got %v, want %v", err, supervisor.ErrFailed)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("got the failure after %v, want at once", took)
		}
		if r, err := supervisor.Ask[counted](t.Context(), sys, pid, count{}); err != nil || r.n != 1 {
			t.Errorf("got %v, %v after a restart, want a fresh clerk", r, err)
		}
		for range 10 { // more than its restarts
			sys.Root.Send(pid, fall{})
			time.Sleep(time.Second)
		}
		if _, ok := n.Actor("clerk"); ok {
			t.Error("got a clerk that has failed too often")
		}
		time.Sleep(time.Minute)
		if pid, ok := n.Actor("clerk"); !ok || n.Err() != nil {
			t.Errorf("got %v and a node with %v, want that it is tried again", pid, n.Err())
		}
		sys.Root.Stop(second)
		synctest.Wait()
		if _, ok := n.Actor("second"); ok {
			t.Error("got an actor that was stopped")
		}
	})
}

// Whoever asks an actor what it does not know hears so at once.
func TestAskUnhandled(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithActor("clerk", newClerk))
		pid, _ := n.Actor("clerk")
		start := time.Now()
		_, err := supervisor.Ask[counted](t.Context(), n.System(), pid, riddle{})
		if !errors.Is(err, supervisor.ErrUnhandled) || !strings.Contains(err.Error(), "riddle") {
			t.Errorf("got %v, want %v and the message", err, supervisor.ErrUnhandled)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("got it after %v, want at once", took)
		}
	})
}

// blocker blocks in its Started.
type blocker struct {
	n     *gamelan.Node
	awake <-chan struct{}
}

func (a blocker) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok {
		a.n.Inspection().Tree()
		<-a.awake
	}
}

// Start keeps its context, and names the actor that keeps it waiting.
func TestStartKeepsItsContext(t *testing.T) {
	awake := make(chan struct{})
	defer close(awake)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithActor("blocker", func(n *gamelan.Node) actor.Actor {
		cancel()
		return blocker{n, awake}
	}))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "not through Started") || !strings.Contains(err.Error(), "/extensions/blocker") {
		t.Errorf("got %v, want the context's error and the actor", err)
	}
}

// A protocol id may be one that no actor can be named after.
func TestRegisterDots(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{})
		for _, id := range []protocol.ID{".", "..", "-", "handler"} {
			if err := n.Register(t.Context(), id, func(*gamelan.Node) actor.Actor { return deaf{} }); err != nil {
				t.Errorf("register %q: %v", id, err)
			}
		}
		if err := n.Err(); err != nil {
			t.Errorf("got %v, want a node that runs", err)
		}
	})
}

type deaf struct{}

func (deaf) Receive(actor.Context) {}
