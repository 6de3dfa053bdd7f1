package gamelan_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/net/nettest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// pair starts two nodes on this machine, of which a knows b.
func pair(t *testing.T, opts ...gamelan.Option) (a, b *gamelan.Node) {
	t.Helper()
	start := func(opts ...gamelan.Option) *gamelan.Node {
		n, err := gamelan.Start(t.Context(), gamelan.Config{}, append(opts, gamelan.WithLogger(discard))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		return n
	}
	a, b = start(), start(opts...)
	if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// TestConn: a stream is a net.Conn in every respect that the ecosystem relies on.
func TestConn(t *testing.T) {
	a, b := pair(t)
	l, err := gamelan.Listener(t.Context(), b, "/t/conn/1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		if c1, err = a.DialContext(t.Context(), "/t/conn/1", b.PublicKey().String()); err != nil {
			return nil, nil, nil, err
		}
		if c2, err = l.Accept(); err != nil {
			return nil, nil, nil, err
		}
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
	if n := len(a.Connections()); n != 1 || len(b.Connections()) != 1 {
		t.Errorf("got %d connections, want the one: no deadline ends it", n)
	}
}

// TestHTTP: net/http serves and asks over streams, many at once, and each side knows the other's key.
func TestHTTP(t *testing.T) {
	a, b := pair(t)
	l, err := gamelan.Listener(t.Context(), b, "/t/http/1")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.RemoteAddr+" "+string(body))
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return a.DialContext(ctx, "/t/http/1", address)
	}}
	client := &http.Client{Transport: transport}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			big := strings.Repeat("x", 1<<20)
			r, err := client.Post("http://"+b.PublicKey().String()+"/", "text/plain", strings.NewReader(big))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			got, err := io.ReadAll(r.Body)
			if want := a.PublicKey().String() + " " + big; err != nil || string(got) != want {
				t.Errorf("got %d bytes, %v, want %d that begin with the client's key", len(got), err, len(want))
			}
		})
	}
	wg.Wait()
	transport.CloseIdleConnections()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v, want that the server is closed", err)
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // until the client's node knows
		_, err := client.Get("http://" + b.PublicKey().String() + "/")
		if errors.Is(err, gamelan.ErrUnsupported) {
			break
		}
		if err == nil || time.Now().After(until) {
			t.Fatalf("got %v, want that the peer does not take the protocol any more", err)
		}
	}
	if _, err := client.Get("http://nobody/"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v, want an error that names the peer", err)
	}
}

// TestListenerEnds: Accept ends with the listener and with the node, with an error that servers know.
func TestListenerEnds(t *testing.T) {
	for _, node := range []bool{false, true} {
		_, b := pair(t)
		l, err := gamelan.Listener(t.Context(), b, "/t/end/1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gamelan.Listener(t.Context(), b, "/t/end/1"); err == nil {
			t.Error("got two listeners of one protocol, want an error")
		}
		ended := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		if node {
			b.Close(t.Context())
		} else if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		if err := l.Close(); node == (err != nil) {
			t.Errorf("got %v of a further Close", err)
		}
	}
}

// TestListenerGivenUp: a listener whose ctx has ended takes back its own protocol, and not that of another listener.
func TestListenerGivenUp(t *testing.T) {
	a, b := pair(t)
	l, err := gamelan.Listener(t.Context(), b, "/t/given-up/1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gamelan.Listener(ctx, b, "/t/given-up/1"); err == nil {
		t.Error("got a listener with a ctx that has ended")
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		accepted <- err
	}()
	c, err := a.DialContext(t.Context(), "/t/given-up/1", b.PublicKey().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := gamelan.Listener(ctx, b, "/t/given-up/1"); err == nil {
		t.Error("got a listener with a ctx that has ended")
	}
	l, err = gamelan.Listener(t.Context(), b, "/t/given-up/1")
	if err != nil {
		t.Fatalf("the protocol was not taken back: %v", err)
	}
	l.Close()
}

// TestStreams: a function per stream; its error or panic resets that stream alone, nil ends it in order.
func TestStreams(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.Quiet = true
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithStreams("/t/echo/1", func(ctx context.Context, s *gamelan.Stream) error {
			if s.Peer != a.ID() || s.Key != a.PublicKey() || s.Protocol != "/t/echo/1" {
				t.Errorf("got %v", s)
			}
			b, err := io.ReadAll(s)
			if err != nil {
				return err
			}
			switch string(b) {
			case "error":
				return errors.New("on purpose")
			case "panic":
				panic("on purpose")
			case "wait":
				<-ctx.Done()
				return ctx.Err()
			}
			_, err = s.Write(b)
			return err
		}))
		net.Connect(a, b)
		ask := func(what string) (string, error) {
			s, err := a.OpenStream(t.Context(), b.ID(), "/t/echo/1")
			if err != nil {
				return "", err
			}
			defer s.Close()
			s.Write([]byte(what))
			s.CloseWrite()
			got, err := io.ReadAll(s)
			return string(got), err
		}
		waits := make(chan error, 1)
		go func() {
			_, err := ask("wait")
			waits <- err
		}()
		for range 3 {
			if got, err := ask("hello"); got != "hello" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			for _, bad := range []string{"error", "panic"} {
				if got, err := ask(bad); got != "" || err == nil {
					t.Errorf("%s: got %q, %v, want a reset", bad, got, err)
				}
			}
		}
		time.Sleep(time.Second)
		gamelantest.Healed(t, b.Node)
		select {
		case err := <-waits:
			t.Errorf("got %v, want that the panics end no other stream", err)
		default:
		}
		if err := b.Unregister(t.Context(), "/t/echo/1"); err != nil {
			t.Error(err)
		}
		if err := <-waits; err == nil {
			t.Error("got a stream that ended in order, want a reset with its protocol")
		}
	})
}

// TestStreamsEvicted: a stream that is evicted ends its function's context. A function that goes on all the same has no place.
func TestStreamsEvicted(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var running, told atomic.Int32
		end := make(chan struct{})
		b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithStreams("/t/busy/1", func(ctx context.Context, _ *gamelan.Stream) error {
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-ctx.Done():
				told.Add(1)
			case <-end:
			}
			<-end // it does not heed that
			return nil
		}, gamelan.AtOnce(3)))
		for i, streams := range []int{5, 1, 1, 1} { // the first takes all places, and keeps one
			a := net.Start(gamelan.Config{})
			net.Connect(a, b)
			for range streams {
				s, err := a.OpenStream(t.Context(), b.ID(), "/t/busy/1")
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				s.Write([]byte("x"))
				time.Sleep(time.Second)
			}
			if want := int32(min(i, 2)); told.Load() != want || running.Load() != 3+want {
				t.Errorf("peer %d: got %d contexts that ended and %d functions, want %d and %d", i, told.Load(), running.Load(), want, 3+want)
			}
		}
		close(end)
	})
}

// TestWithdrawnProtocol: who opens a stream of a protocol that the peer has withdrawn a moment ago is told so.
func TestWithdrawnProtocol(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		if err := b.RegisterStreams(t.Context(), "/t/once/1", func(context.Context, *gamelan.Stream) error { return nil }); err != nil {
			t.Fatal(err)
		}
		net.Connect(a, b)
		net.SetLinkBetween(a, b, memory.Link{Latency: 50 * time.Millisecond})
		time.Sleep(time.Second) // a has heard what b takes
		if err := b.Unregister(t.Context(), "/t/once/1"); err != nil {
			t.Fatal(err)
		}
		s, err := a.OpenStream(t.Context(), b.ID(), "/t/once/1") // what b takes now is on its way
		if err == nil {
			_, err = s.Read(make([]byte, 1))
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "withdrawn") {
			t.Errorf("got %v, want that the peer may have withdrawn it", err)
		}
		time.Sleep(5 * time.Second)
		if _, err := a.OpenStream(t.Context(), b.ID(), "/t/once/1"); !errors.Is(err, gamelan.ErrUnsupported) {
			t.Errorf("got %v, want ErrUnsupported", err)
		}
	})
}

// TestStreamsAtOnce: a peer that opens streams without end takes none from another.
func TestStreamsAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) { // functions that end their goroutines keep no places
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithStreams("/t/exit/1", func(_ context.Context, s *gamelan.Stream) error {
			b := make([]byte, 1)
			if _, err := io.ReadFull(s, b); err != nil || b[0] == 'x' {
				runtime.Goexit()
			}
			_, err := s.Write(b)
			return err
		}, gamelan.AtOnce(1)))
		net.Connect(a, b)
		for _, text := range []string{"x", "x", "y"} {
			s, err := a.OpenStream(t.Context(), b.ID(), "/t/exit/1")
			if err != nil {
				t.Fatal(err)
			}
			s.SetDeadline(time.Now().Add(time.Hour))
			s.Write([]byte(text))
			if _, err := io.ReadFull(s, make([]byte, 1)); (err == nil) != (text == "y") {
				t.Errorf("%s: got %v", text, err)
			}
			s.Close()
		}
	})
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		echo := func(_ context.Context, s *gamelan.Stream) error {
			_, err := io.Copy(s, s)
			return err
		}
		a, c := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithStreams("/t/echo/1", echo, gamelan.AtOnce(4)))
		net.Connect(a, b)
		net.Connect(c, b)
		open := func(n *gamelantest.Node) *gamelan.Stream {
			s, err := n.OpenStream(t.Context(), b.ID(), "/t/echo/1")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			s.SetDeadline(time.Now().Add(time.Hour))
			s.Write([]byte("x"))
			return s
		}
		lives := func(s *gamelan.Stream) bool {
			s.Write([]byte("x"))
			_, err := io.ReadFull(s, make([]byte, 2))
			return err == nil
		}
		honest := open(c)
		time.Sleep(time.Second)
		var flood []*gamelan.Stream
		for range 20 {
			flood = append(flood, open(a))
			time.Sleep(time.Second)
		}
		if !lives(honest) {
			t.Error("the stream of the honest peer is reset")
		}
		n := 0
		for _, s := range flood {
			if lives(s) {
				n++
			}
		}
		if n != 3 {
			t.Errorf("got %d streams of the other that live, want 3", n)
		}
	})
	if _, err := gamelan.Start(t.Context(), gamelan.Config{}, gamelan.WithStreams("/t/echo/1", func(context.Context, *gamelan.Stream) error { return nil }, gamelan.AtOnce(0))); err == nil {
		t.Error("got a node with AtOnce(0), want an error")
	}
	for what, opt := range map[string]gamelan.Option{
		"no function":       gamelan.WithStreams("/t/echo/1", nil),
		"no id":             gamelan.WithStreams("", func(context.Context, *gamelan.Stream) error { return nil }),
		"a topic":           gamelan.WithStreams("/t/echo/1", func(context.Context, *gamelan.Stream) error { return nil }, gamelan.On("jobs")),
		"AtOnce of another": gamelan.WithProtocol("/t/echo/1", func(*gamelan.Node) actor.Actor { return nil }, gamelan.AtOnce(3)),
	} {
		if n, err := gamelan.Start(t.Context(), gamelan.Config{}, opt); err == nil {
			n.Close(t.Context())
			t.Errorf("%s: got a node, want an error", what)
		}
	}
}
