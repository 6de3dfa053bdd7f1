package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func TestRegister(t *testing.T) {
	n := start(t, gamelan.Config{NoDHT: true}, nil)
	for name, err := range map[string]error{
		"empty id":            n.Register(t.Context(), "", newEcho),
		"51 bytes":            n.Register(t.Context(), protocol.ID(strings.Repeat("x", 51)), newEcho),
		"comma":               n.Register(t.Context(), "/a,b", newEcho),
		"no actor":            n.Register(t.Context(), "/echo", nil),
		"no handler":          n.RegisterHandler(t.Context(), nil),
		"nobody's":            n.Unregister(t.Context(), "/echo"),
		"nobody's empty id":   n.Unregister(t.Context(), ""),
		"nobody as a handler": n.UnregisterHandler(t.Context()),
	} {
		if err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	if err := n.RegisterHandler(t.Context(), newEcho); err != nil {
		t.Fatal(err)
	}
	if err := n.RegisterHandler(t.Context(), newEcho); !errors.Is(err, actors.ErrProtocolTaken) {
		t.Errorf("a second handler: got %v, want %v", err, actors.ErrProtocolTaken)
	}
	id := func(i int) protocol.ID { return protocol.ID(fmt.Sprintf("/%s/%02d", strings.Repeat("x", 46), i)) }
	free := actors.MaxProtocols - nodetest.Trunk(n).Protocols().Len()
	for i := range free {
		if err := n.Register(t.Context(), id(i), newEcho); err != nil {
			t.Fatalf("protocol %d: %v", i, err)
		}
	}
	if err := n.Register(t.Context(), id(free), newEcho); !errors.Is(err, actors.ErrTooManyProtocols) {
		t.Errorf("one too many: got %v, want %v", err, actors.ErrTooManyProtocols)
	}
	if err := n.Register(t.Context(), id(1), newEcho); !errors.Is(err, actors.ErrProtocolTaken) {
		t.Errorf("one that is taken: got %v, want %v", err, actors.ErrProtocolTaken)
	}
	if err := n.Unregister(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	if err := n.Register(t.Context(), id(free), newEcho); err != nil {
		t.Errorf("in place of another: %v", err)
	}
	if err := n.UnregisterHandler(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Register(t.Context(), id(1), newEcho); err != nil {
		t.Errorf("in place of the handler: %v", err)
	}
	if err := n.RegisterHandler(t.Context(), newEcho); !errors.Is(err, actors.ErrTooManyProtocols) {
		t.Errorf("a handler too many: got %v, want %v", err, actors.ErrTooManyProtocols)
	}
}

func TestStartWithTooManyProtocols(t *testing.T) {
	opts := []gamelan.Option{gamelan.WithHandler(newEcho)}
	for i := range actors.MaxProtocols {
		opts = append(opts, gamelan.WithProtocol(protocol.ID(fmt.Sprint("/p/", i)), newEcho))
	}
	if _, err := gamelan.Start(t.Context(), gamelan.Config{}, opts...); !errors.Is(err, actors.ErrTooManyProtocols) {
		t.Errorf("got %v, want %v", err, actors.ErrTooManyProtocols)
	}
	if _, err := gamelan.Start(t.Context(), gamelan.Config{}, append(opts[:3], opts[2])...); !errors.Is(err, actors.ErrProtocolTaken) {
		t.Errorf("one twice: got %v, want %v", err, actors.ErrProtocolTaken)
	}
}

// TestRegisterRace has several callers want the same protocol at once.
func TestRegisterRace(t *testing.T) {
	n := start(t, gamelan.Config{}, nil)
	for range 20 {
		var won, lost atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				switch err := n.Register(t.Context(), "/echo", newEcho); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, actors.ErrProtocolTaken):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 3 {
			t.Fatalf("register: got %d that won and %d that lost, want 1 and 3", won.Load(), lost.Load())
		}
		won.Store(0)
		for range 4 {
			all.Go(func() {
				switch err := n.Unregister(t.Context(), "/echo"); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, actors.ErrNotRegistered):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() == 0 {
			t.Fatal("unregister: got nobody who did it")
		}
	}
}

func TestUnregisterResetsStreams(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithProtocol("/echo/1", newEcho))
		net.Introduce(a, b)
		s, err := a.OpenStream(t.Context(), b.ID(), "/echo/1")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := io.WriteString(s, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := b.Unregister(t.Context(), "/echo/1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("got %v, want that the stream was reset", err)
		}
		if _, ok := a.Connection(b.ID()); !ok {
			t.Error("got no connection, want it to stay")
		}
	})
}

// TestHandlerThatComesAndGoes registers while messages arrive.
func TestHandlerThatComesAndGoes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		for range 3 {
			out, err := a.Send(t.Context(), b.ID(), []byte("nobody there"))
			wantOutcome(t, "without a handler", out, err, protocol.Failed, protocol.Refused)
			heard := gamelantest.NewCollector()
			if err := b.RegisterHandler(t.Context(), heard.New); err != nil {
				t.Fatal(err)
			}
			out, err = a.Send(t.Context(), b.ID(), []byte("hello"))
			wantOutcome(t, "with a handler", out, err, protocol.Confirmed, protocol.ReasonNone)
			synctest.Wait()
			if got := heard.Len(); got != 1 {
				t.Errorf("got %d messages, want 1", got)
			}
			if err := b.UnregisterHandler(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := b.Disconnect(t.Context(), a.ID()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until a knows it too
		}
	})
}

// broken panics whenever it is started, until it is mended.
type broken struct{ mended *atomic.Bool }

func (b broken) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok && !b.mended.Load() {
		panic("a bug of the user's")
	}
	echo{}.Receive(c)
}

// TestHandlerThatPanicsForEver is tried again every 30 s, and the rest of the
// node does not notice.
func TestHandlerThatPanicsForEver(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var mended atomic.Bool
		a := net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
		b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithProtocol("/other", newEcho),
			gamelan.WithProtocol("/echo", func(*gamelan.Node) actor.Actor { return broken{&mended} }))
		net.Introduce(a, b)
		failed := waitFailed(b)
		if id := <-failed; id != "/echo" {
			t.Errorf("got the failure of %q, want /echo", id)
		}
		synctest.Wait()
		if s, err := a.OpenStream(t.Context(), b.ID(), "/echo"); err == nil {
			s.Close()
			t.Error("failed: got a stream, want none")
		}
		wantEcho(t, a, b, "/echo", "/other")
		mended.Store(true)
		time.Sleep(time.Minute)
		wantEcho(t, a, b, "/echo")
	})
}

// TestRegisterInPlaceOfOneThatFailed has the retry of the old one come due when
// the new one runs.
func TestRegisterInPlaceOfOneThatFailed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
		net.Introduce(a, b)
		failed := waitFailed(b)
		if err := b.Register(t.Context(), "/echo", func(*gamelan.Node) actor.Actor { return broken{new(atomic.Bool)} }); err != nil {
			t.Fatal(err)
		}
		<-failed
		if err := b.Unregister(t.Context(), "/echo"); err != nil {
			t.Fatal(err)
		}
		if err := b.Register(t.Context(), "/echo", newEcho); err != nil {
			t.Fatal(err)
		}
		wantEcho(t, a, b, "/echo")
		time.Sleep(time.Minute)
		wantEcho(t, a, b, "/echo")
		for _, info := range b.Inspection().Tree().Snapshot() {
			if info.Name == "extensions" && (info.Incarnation != 1 || info.LastFailure != nil) {
				t.Errorf("got incarnation %d of extensions after %v, want the first", info.Incarnation, info.LastFailure)
			}
		}
	})
}

// waitFailed returns the protocols that fail for good from now on.
func waitFailed(n *gamelantest.Node) <-chan protocol.ID {
	failed := make(chan protocol.ID, 1)
	go func() {
		for e := range n.Events(context.Background()) {
			if f, ok := e.Value.(actors.ProtocolFailed); ok {
				failed <- f.ID
				return
			}
		}
	}()
	return failed
}

// quitter stops itself when it is started.
type quitter struct{}

func (quitter) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok {
		c.Stop(c.Self())
	}
}

func TestActorThatStopsItself(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		for range 3 {
			err := b.Register(t.Context(), "/echo", func(*gamelan.Node) actor.Actor { return quitter{} })
			if err != nil && !errors.Is(err, actors.ErrNotRegistered) {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := b.Unregister(t.Context(), "/echo"); !errors.Is(err, actors.ErrNotRegistered) {
				t.Errorf("one that has stopped: got %v, want %v", err, actors.ErrNotRegistered)
			}
		}
		if err := b.Register(t.Context(), "/echo", newEcho); err != nil {
			t.Fatal(err)
		}
		wantEcho(t, a, b, "/echo")
	})
}

// TestRegisterWhileActorsCrash loses the message or the reply that the caller
// waits for, once.
func TestRegisterWhileActorsCrash(t *testing.T) {
	for _, lost := range []struct{ path, point string }{
		{"/services", "users.AddProtocol"},
		{"/extensions", "users.ProtocolAdded"},
	} {
		t.Run(lost.path[1:], func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var armed atomic.Bool
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithFault(func(path, point string) {
					if strings.HasSuffix(path, lost.path) && point == lost.point && armed.CompareAndSwap(true, false) {
						panic("a bug")
					}
				}))
				net.Introduce(a, b)
				armed.Store(true)
				if err := b.Register(t.Context(), "/echo", newEcho); err != nil {
					t.Error(err)
				}
				if armed.Load() {
					t.Fatal("nothing has panicked")
				}
				wantEcho(t, a, b, "/echo")
			})
		})
	}
}

// TestStartWhileActorsCrash does the same to what is registered at the start.
func TestStartWhileActorsCrash(t *testing.T) {
	for _, lost := range []struct{ path, point string }{
		{"/services", "users.AddProtocol"},
		{"/extensions", "users.ProtocolAdded"},
		{"/extensions", "*actor.Started"},
	} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			var done atomic.Bool
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			b, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{"/memory/7"}}, gamelan.WithTransport(net.Transport()), gamelan.WithLogger(discard),
				gamelan.WithProtocol("/echo", newEcho), gamelan.WithFault(func(path, point string) {
					if strings.HasSuffix(path, lost.path) && point == lost.point && done.CompareAndSwap(false, true) {
						panic("a bug")
					}
				}))
			if err != nil {
				t.Fatalf("%s at %s: %v", lost.path, lost.point, err)
			}
			defer b.Close(context.Background())
			if !done.Load() {
				t.Error("nothing has panicked")
			}
			if _, ok := b.Actor("/echo"); !ok {
				t.Errorf("%s at %s: got a node that does not offer the protocol", lost.path, lost.point)
			}
		})
	}
}

// conforms: comms 58 (new addresses are signed anew, dated now)
func TestSetPublicAddresses(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		before, ok := b.Peers().Get(a.ID())
		if !ok || before.Claim == nil {
			t.Fatalf("got %v, want a peer with a claim", before)
		}
		time.Sleep(time.Minute)
		if err := a.SetPublicAddresses(t.Context()); err == nil {
			t.Error("no address: got nil, want an error")
		}
		elsewhere := ma.StringCast("/memory/77")
		addrs := append(a.Addresses(), elsewhere)
		if err := a.SetPublicAddresses(t.Context(), addrs...); err != nil {
			t.Fatal(err)
		}
		if got := a.Addresses(); len(got) != 2 || !got[1].Equal(elsewhere) {
			t.Errorf("got %v, want %v", got, addrs)
		}
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		net.Connect(a, b)
		after, _ := b.Peers().Get(a.ID())
		if len(after.Claim.Addresses) != 2 || after.Claim.Signature.UpdatedAt < before.Claim.Signature.UpdatedAt+60 {
			t.Errorf("got %d addresses of %d, want 2, signed a minute after %d",
				len(after.Claim.Addresses), after.Claim.Signature.UpdatedAt, before.Claim.Signature.UpdatedAt)
		}
		if err := after.Claim.Verify(time.Now()); err != nil {
			t.Error(err)
		}
	})
}
