package gamelan_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestNodeThatFails has an actor that cannot be healed: the node stops in order
// and says why.
func TestNodeThatFails(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/memory/99"}}, gamelan.WithTransport(net.Transport()),
			gamelan.WithLogger(discard), gamelan.WithFault(func(path, point string) {
				if strings.HasSuffix(path, "/connectivity") && point == "connectivity.GetStatus" {
					panic("a bug that stays")
				}
			}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
			t.Fatal(err)
		}
		out, err := n.Send(t.Context(), b.ID(), nil)
		wantOutcome(t, "before", out, err, protocol.Confirmed, protocol.ReasonNone)
		for fails := 0; n.Err() == nil; fails++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := n.Status(ctx); err == nil {
				t.Error("got a status")
			}
			cancel()
			if fails > 1000 {
				t.Fatal("got a node that goes on, want one that stops")
			}
		}
		<-n.Done()
		for _, err := range []error{n.Err(), n.Close(t.Context()), n.Close(t.Context())} {
			if cause, ok := errors.AsType[*supervisor.PanicError](err); !ok || cause.Value != "a bug that stays" {
				t.Errorf("got %v, want the bug", err)
			}
		}
		if _, err := n.Send(t.Context(), b.ID(), nil); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("afterwards: got %v, want %v", err, gamelan.ErrClosed)
		}
		if _, err := n.Dial(t.Context(), b.ID()); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("afterwards: got %v, want %v", err, gamelan.ErrClosed)
		}
		synctest.Wait()
		if got := len(b.Connections()); got != 0 {
			t.Errorf("the other side: got %d connections, want none", got)
		}
	})
}

// TestStoreThatCrashesAnswers has the replies that wait for the disk lost with
// their actor.
func TestStoreThatCrashesAnswers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var armed atomic.Bool
		a, b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/peers") && point == "supervisor.Done[struct {}]" && armed.CompareAndSwap(true, false) {
				panic("a bug")
			}
		})), net.Start(gamelan.Config{})
		armed.Store(true)
		began := time.Now()
		if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); !errors.Is(err, actors.ErrNotDurable) {
			t.Errorf("got %v, want %v", err, actors.ErrNotDurable)
		}
		if took := time.Since(began); took > time.Second || armed.Load() {
			t.Errorf("got an answer after %v, want one at the crash", took)
		}
		if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
			t.Errorf("again: %v", err)
		}
		net.Connect(a, b)
	})
}

// TestDialWhileTheDialerCrashes is not told of it.
func TestDialWhileTheDialerCrashes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(slowLink)
		a, b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard)), net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
		net.Introduce(a, b)
		for i := range 5 {
			done := make(chan error)
			go func() {
				_, err := a.Dial(t.Context(), b.ID())
				done <- err
			}()
			time.Sleep(time.Duration(i) * 20 * time.Millisecond)
			gamelantest.Crash(a.Node, "dialer", "a bug")
			if err := <-done; err != nil {
				t.Errorf("crash after %d ms: %v", 20*i, err)
			}
			if err := a.Disconnect(t.Context(), b.ID()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute) // the budget of restarts
		}
	})
}

// TestLateResultOfACrashedDialer has a dial of a dialer that crashed end while the
// next one dials the same peer: that dial goes on.
func TestLateResultOfACrashedDialer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		slow := &slowDials{Transport: net.Transport(), may: make(chan struct{}, 10)}
		a, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithTransport(slow), gamelan.WithLogger(discard))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			close(slow.may)
			a.Close(context.WithoutCancel(t.Context()))
		}()
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
			t.Fatal(err)
		}
		p, err := a.Submit(t.Context(), b.ID(), []byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		gamelantest.Crash(a, "dialer", "a bug")
		time.Sleep(time.Second)
		if got := slow.begun.Load(); got != 2 {
			t.Fatalf("got %d dials after the crash, want 2", got)
		}
		slow.may <- struct{}{} // the first one, whose context has ended
		time.Sleep(time.Second)
		slow.may <- struct{}{}
		out := p.Wait(t.Context())
		wantOutcome(t, "sent", out, nil, protocol.Confirmed, protocol.ReasonNone)
		if got := slow.begun.Load(); got != 2 {
			t.Errorf("got %d dials, want 2", got)
		}
	})
}

// slowDials is a transport whose dials wait until they may go on, in their order,
// whatever becomes of their contexts.
type slowDials struct {
	transport.Transport
	begun atomic.Int64
	may   chan struct{}
}

func (s *slowDials) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	s.begun.Add(1)
	<-s.may
	return s.Transport.Dial(ctx, a)
}

// TestOpensThatCrashGiveBackTheirPlace has more tasks that open substreams
// crash than a connection may have substreams.
func TestOpensThatCrashGiveBackTheirPlace(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var armed atomic.Bool
		a := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithFault(func(_, point string) {
			if strings.HasPrefix(point, "task open-") && armed.Load() {
				panic("a bug")
			}
		}))
		b := net.Start(gamelan.Config{}, gamelan.WithProtocol("/echo", newEcho))
		net.Connect(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		armed.Store(true)
		for i := range 101 {
			// Which of them the peer speaks is asked in a task.
			if _, err := a.OpenStream(ctx, b.ID(), "/echo/2", "/echo"); err == nil {
				t.Fatalf("substream %d: got no error", i)
			}
		}
		armed.Store(false)
		s, err := a.OpenStream(ctx, b.ID(), "/echo")
		if err != nil {
			t.Fatalf("afterwards: %v", err)
		}
		s.Close()
	})
}
