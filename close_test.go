package gamelan_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

func TestCloseTwice(t *testing.T) {
	n := start(t, gamelan.Config{}, nil)
	if err := n.Err(); err != nil {
		t.Errorf("while it runs: got %v, want nil", err)
	}
	for range 2 {
		if err := n.Close(t.Context()); err != nil {
			t.Errorf("close: got %v, want nil", err)
		}
		<-n.Done()
		if err := n.Err(); err != nil {
			t.Errorf("afterwards: got %v, want nil", err)
		}
	}
}

func TestMethodsAfterClose(t *testing.T) {
	ctx := t.Context()
	n := start(t, gamelan.Config{}, nil)
	other := start(t, gamelan.Config{}, nil)
	peer, err := n.Peers().AddSeed(ctx, other.Seed())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Send":               func() error { _, err := n.Send(ctx, peer, nil); return err },
		"Enqueue":            func() error { _, err := n.Submit(ctx, peer, nil); return err },
		"OpenStream":         func() error { _, err := n.OpenStream(ctx, peer, "/p"); return err },
		"Dial":               func() error { _, err := n.Dial(ctx, peer); return err },
		"Register":           func() error { return n.Register(ctx, "/p", newEcho) },
		"Unregister":         func() error { return n.Unregister(ctx, "/p") },
		"RegisterHandler":    func() error { return n.RegisterHandler(ctx, newEcho) },
		"AddPeer":            func() error { _, err := n.Peers().AddSeed(ctx, other.Seed()); return err },
		"Forget":             func() error { return n.Peers().Forget(ctx, peer) },
		"Ban":                func() error { return n.Peers().Ban(ctx, peer, time.Hour, "") },
		"Unban":              func() error { return n.Peers().Unban(ctx, peer) },
		"Status":             func() error { _, err := n.Status(ctx); return err },
		"WaitOnline":         func() error { return n.WaitOnline(ctx, 1) },
		"SetPublicAddresses": func() error { return n.SetPublicAddresses(ctx, n.Addresses()...) },
	} {
		if err := call(); !errors.Is(err, gamelan.ErrClosed) || strings.Count(err.Error(), "gamelan") != 1 {
			t.Errorf("%s: got %q, want %q", name, err, gamelan.ErrClosed)
		}
	}
	for e := range n.Events(ctx) {
		t.Errorf("got event %v, want none", e)
	}
	n.Protect(peer, "test")()
	if err := n.Disconnect(ctx, peer); err != nil {
		t.Errorf("Disconnect: got %v, want nil: there is no connection", err)
	}
	if _, ok := n.Peers().Get(peer); !ok {
		t.Error("Peers: got a view without the peer that was added, want what it was")
	}
}

// TestCloseWhileWorkIsUnderWay has one call of each kind wait for a peer that
// does not answer.
func TestCloseWhileWorkIsUnderWay(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		net.Partition(a, b)
		ctx := t.Context()
		calls := map[string]func() error{
			"Send": func() error {
				out, err := a.Send(ctx, b.ID(), []byte("hello"))
				if err == nil && (out.Kind != protocol.Failed || out.Reason != protocol.Closed) {
					t.Errorf("Send: got %v, want failed: closed", out)
				}
				return err
			},
			"OpenStream": func() error { _, err := a.OpenStream(ctx, b.ID(), "/p"); return wantError(err) },
			"Dial":       func() error { _, err := a.Dial(ctx, b.ID()); return wantError(err) },
			"WaitOnline": func() error { return wantError(a.WaitOnline(ctx, 1)) },
			"Events": func() error {
				for range a.Events(ctx) {
				}
				return nil
			},
		}
		done := make(chan string, len(calls))
		for name, call := range calls {
			go func() {
				if err := call(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				done <- name
			}()
		}
		time.Sleep(time.Second)
		if err := a.Close(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range calls {
			select {
			case name := <-done:
				delete(calls, name)
			default:
				for name := range calls {
					t.Errorf("%s: still waits after Close", name)
				}
				net.Heal(a, b)
				return
			}
		}
	})
}

func wantError(err error) error {
	if err == nil {
		return errors.New("got nil, want an error")
	}
	return nil
}

// TestCloseFinishesWhatWasAccepted closes with messages on a slow line.
func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		net.SetLink(slowLink)
		var pending []*gamelan.Pending[gamelan.Outcome]
		for range 100 {
			p, err := a.Submit(t.Context(), b.ID(), []byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, p := range pending {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("message %d: got %v, want confirmed", i, out)
			}
		}
		if got := heard.Len(); got != len(pending) {
			t.Errorf("heard: got %d messages, want %d", got, len(pending))
		}
	})
}

// TestCloseDoesNotWaitForEver has a handler that cannot be stopped.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{})
		cfg := gamelan.Config{Secret: gamelantest.Secret(99), Listen: []string{"/memory/99"}}
		b, err := gamelan.Start(t.Context(), cfg, gamelan.WithTransport(net.Transport()), gamelan.WithLogger(discard), gamelan.WithHandler(heard.New))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
			t.Fatal(err)
		}
		unblock := heard.Block()
		if out, err := a.Send(t.Context(), b.ID(), []byte("hello")); err != nil || out.Kind != protocol.Confirmed {
			t.Fatalf("got %v, %v, want confirmed", out, err)
		}

		first := make(chan error, 1)
		began := time.Now()
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			first <- b.Close(ctx)
		}()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantStuck(t, "a second Close with less time", b.Close(ctx))
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("a second Close with less time: got %v, want 1 s", took)
		}
		wantStuck(t, "Close", <-first)
		if took := time.Since(began); took > 61*time.Second {
			t.Errorf("Close: got %v, want a minute", took)
		}
		wantStuck(t, "Err", b.Err())
		unblock()
	})
}

func wantStuck(t *testing.T, what string, err error) {
	t.Helper()
	stuck, ok := errors.AsType[*supervisor.StuckError](err)
	isHandler := func(path string) bool { return strings.HasSuffix(path, "/extensions/handler") }
	if !ok || !slices.ContainsFunc(stuck.Paths, isHandler) {
		t.Errorf("%s: got %v, want that the handler did not stop", what, err)
	}
}

// TestSendToANodeThatCloses has the other side go in order: what was written is
// proven, what was not finds nobody.
func TestSendToANodeThatCloses(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		if out, err := a.Send(t.Context(), b.ID(), []byte("first")); err != nil || out.Kind != protocol.Confirmed {
			t.Fatalf("got %v, %v, want confirmed", out, err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // or the second one could be written before a has read the end: in doubt
		out, err := a.Send(t.Context(), b.ID(), []byte("second"))
		if err != nil || out.Kind != protocol.Failed || out.Reason != protocol.DialFailed {
			t.Errorf("got %v, %v, want failed: dial failed", out, err)
		}
	})
}

// slow takes its time for each message.
type slow struct{ *gamelantest.Collector }

func (s slow) Receive(c actor.Context) {
	if _, ok := c.Message().(actors.Received); ok {
		time.Sleep(10 * time.Millisecond)
	}
	s.New(nil).Receive(c)
}

// TestCloseLetsTheHandlerFinish closes a node whose handler has a queue.
func TestCloseLetsTheHandlerFinish(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return slow{heard} }))
		net.Introduce(a, b)
		const all = 100
		for i := range all {
			p, err := a.Submit(t.Context(), b.ID(), []byte{byte(i)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { wantOutcome(t, "send", p.Wait(t.Context()), nil, protocol.Confirmed, protocol.ReasonNone) }()
		}
		time.Sleep(200 * time.Millisecond)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := heard.Len(); got != all {
			t.Errorf("got %d messages heard, want all %d that had arrived", got, all)
		}
	})
}

// hungStore is a store whose Close waits behind a call that does not end.
type hungStore struct {
	kv.DB
	stuck chan struct{}
}

func (h hungStore) Close() error {
	<-h.stuck
	return h.DB.Close()
}

// TestCloseOverADiskThatHangs: Close ends all the same and says what did not,
// each time it is called, until the disk is back.
func TestCloseOverADiskThatHangs(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		stuck := make(chan struct{})
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{})
		gamelan.WrapStore(n.Node, func(db kv.DB) kv.DB { return hungStore{db, stuck} })
		for i := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			began := time.Now()
			err := n.Close(ctx)
			cancel()
			if !errors.Is(err, actors.ErrStoreFailed) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("close %d: got %v, want ErrStoreFailed and that the time was over", i, err)
			}
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("close %d: got an answer after %v, want it soon after the context ended", i, took)
			}
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := n.Close(canceled); !errors.Is(err, actors.ErrStoreFailed) {
			t.Errorf("with a context that is over: got %v, want ErrStoreFailed", err)
		}
		select {
		case <-n.Done():
			t.Error("got the node done while its store is open, want it not")
		default:
		}
		close(stuck)
		if err := n.Close(t.Context()); err != nil {
			t.Errorf("when the disk is back: got %v, want nil", err)
		}
	})
}
