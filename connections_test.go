package gamelan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

func TestDialThatCannotWork(t *testing.T) {
	n := start(t, gamelan.Config{}, nil)
	for want, peer := range map[error]identity.NodeID{actors.ErrUnknownPeer: {1}, actors.ErrSelf: n.ID()} {
		_, err := n.Dial(t.Context(), peer)
		if _, ok := errors.AsType[*actors.DialError](err); !ok || !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if err := n.Peers().Ban(t.Context(), n.ID(), time.Hour, "myself"); !errors.Is(err, actors.ErrSelf) {
		t.Errorf("ban of itself: got %v, want %v", err, actors.ErrSelf)
	}
	if err := n.Peers().Ban(t.Context(), identity.NodeID{1}, 0, ""); err == nil {
		t.Error("ban for no time: got nil, want an error")
	}
}

func TestDisconnect(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Errorf("without a connection: got %v, want nil", err)
		}
		net.Connect(a, b)
		for range 2 {
			if err := a.Disconnect(t.Context(), b.ID()); err != nil {
				t.Error(err)
			}
			if _, ok := a.Connection(b.ID()); ok {
				t.Error("afterwards: got a connection, want none")
			}
		}

		net.Connect(a, b)
		net.Cut(a, b)
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Errorf("of a connection that is lost: %v", err)
		}
	})
}

// TestBanWhileADialIsUnderWay has the ban come at every stage of a dial.
func TestBanWhileADialIsUnderWay(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(slowLink)
		a := net.Start(gamelan.Config{})
		for i := range 30 {
			b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
			net.Introduce(a, b)
			go a.Dial(t.Context(), b.ID())
			time.Sleep(time.Duration(i) * 10 * time.Millisecond)
			if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "a test"); err != nil {
				t.Fatal(err)
			}
			if ref, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, actors.ErrBanned) {
				t.Errorf("dial after a ban at %d ms: got %v, %v, want %v", 10*i, ref, err, actors.ErrBanned)
			}
			time.Sleep(5 * time.Second)
			if _, ok := a.Connection(b.ID()); ok {
				t.Errorf("after a ban at %d ms: got a connection, want none", 10*i)
			}
			if out, err := a.Send(t.Context(), b.ID(), nil); err != nil || out.Kind != protocol.Failed || out.Reason != protocol.Banned {
				t.Errorf("send to a banned peer: got %v, %v, want failed: banned", out, err)
			}
		}
	})
}

// TestBanNobodyWaitsFor gives up waiting for the disk: the connection ends all
// the same.
func TestBanNobodyWaitsFor(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		a.System().Root.Send(nodetest.Trunk(a).Peers(), peerbook.BanPeer{Peer: b.ID(), For: time.Hour, Reason: "a test"})
		gamelantest.Eventually(t, 5*time.Second, "no connection", func() bool { return len(a.Connections()) == 0 })
		if last := nodetest.Trunk(a).Closed(); len(last) != 1 || last[0].Reason.Code != actors.CloseBanned {
			t.Errorf("got %v, want one that ended because of the ban", last)
		}
	})
}

func TestHold(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard)), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		connected := func() bool { return len(a.Connections()) == 1 }
		first, second := a.Protect(b.ID(), "test"), a.Protect(b.ID(), "test")
		gamelantest.Eventually(t, time.Second, "a connection", connected)
		for range 5 {
			net.Cut(a, b)
			time.Sleep(10 * time.Millisecond)
			gamelantest.Eventually(t, 10*time.Second, "a connection again", connected)
		}
		first()
		first() // counts once
		// A wish outlives the actor that fulfils it.
		gamelantest.Crash(a.Node, "connectivity", "a bug")
		gamelantest.Healed(t, a.Node)
		if s, err := a.Status(t.Context()); err != nil || s.Wanted != 1 || s.Missing != 0 {
			t.Errorf("after a restart: got %+v, %v, want 1 wanted and none missing", s, err)
		}
		net.Cut(a, b)
		time.Sleep(10 * time.Millisecond)
		gamelantest.Eventually(t, 10*time.Second, "a connection after a restart", connected)
		net.Cut(a, b)
		gamelantest.Crash(a.Node, "connectivity", "a bug")
		time.Sleep(10 * time.Millisecond)
		gamelantest.Eventually(t, 10*time.Second, "a connection lost with the restart", connected)

		second()
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if connected() {
			t.Error("an hour after the release: got a connection, want none")
		}
	})
}

func TestOpenStream(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithProtocol("/echo/1", newEcho))
		net.Introduce(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := a.OpenStream(ctx, b.ID()); err == nil {
			t.Error("no protocol: got a stream, want an error")
		}
		if _, err := a.OpenStream(ctx, b.ID(), "/echo/3", "/echo/2"); err == nil {
			t.Error("protocols that the peer does not speak: got a stream, want an error")
		}
		wantEcho(t, a, b, "/echo/2", "/echo/1")

		// One registered when the connection was there already.
		if err := b.Register(ctx, "/echo/2", newEcho); err != nil {
			t.Fatal(err)
		}
		wantEcho(t, a, b, "/echo/3", "/echo/2")

		// The connection is lost, and a may not know it yet: then the first write says so.
		for range 10 {
			net.Cut(a, b)
			s, err := a.OpenStream(ctx, b.ID(), "/echo/1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(s, "hello"); err == nil {
				if _, err := io.ReadFull(s, make([]byte, 5)); err != nil {
					t.Errorf("got %v when reading, want the echo of what could be written", err)
				}
			}
			s.Close()
			wantEcho(t, a, b, "/echo/1")
		}
	})
}

func wantEcho(t *testing.T, a, b *gamelantest.Node, ids ...protocol.ID) {
	t.Helper()
	s, err := a.OpenStream(t.Context(), b.ID(), ids...)
	if err != nil {
		t.Errorf("open %q: %v", ids, err)
		return
	}
	defer s.Close()
	if s.Protocol != ids[len(ids)-1] {
		t.Errorf("got %q, want %q", s.Protocol, ids[len(ids)-1])
	}
	const text = "hello, hello"
	if _, err := io.WriteString(s, text); err != nil {
		t.Error(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(s); string(got) != text || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, text)
	}
}

// TestOpenStreamThatWaitsForRoom loses its connection while it waits.
func TestOpenStreamThatWaitsForRoom(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		few := protocol.Tari(protocol.LocalNet)
		few.Limits.Streams, few.Limits.InboundStreams = 5, 2
		a, b := net.Start(gamelan.Config{Profile: &few}), net.Start(gamelan.Config{}, gamelan.WithProtocol("/echo/1", newEcho))
		net.Connect(a, b)
		const all = 10
		done := make(chan error)
		for range all {
			go func() {
				s, err := a.OpenStream(t.Context(), b.ID(), "/echo/1")
				done <- err
				if err == nil {
					defer s.Close()
					io.ReadAll(s) // until the connection ends
				}
			}()
		}
		// opened counts the streams until no more come.
		opened := func() (n int) {
			for {
				select {
				case err := <-done:
					if err != nil {
						t.Errorf("stream %d of a connection: %v", n, err)
					}
					n++
				case <-time.After(time.Second):
					return n
				}
			}
		}
		first := opened()
		if first == 0 || first >= all/2 {
			t.Errorf("got %d streams on one connection, want a few of %d", first, all)
		}
		rest := all - first
		for range 2 {
			if err := a.Disconnect(t.Context(), b.ID()); err != nil {
				t.Fatal(err)
			}
			rest -= opened()
		}
		if rest != 0 {
			t.Errorf("got %d streams that still wait, want none after the third connection", rest)
		}
		for range rest { // let them go
			a.Disconnect(t.Context(), b.ID())
			opened()
		}
		a.Disconnect(t.Context(), b.ID())
		synctest.Wait()
	})
}

func TestWaitOnline(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		if err := a.WaitOnline(t.Context(), 0); err != nil {
			t.Errorf("for nobody: got %v, want nil", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.WaitOnline(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that the time is over", err)
		}
		online := make(chan error)
		for _, n := range []*gamelantest.Node{a, b} {
			go func() { online <- n.WaitOnline(t.Context(), 1) }()
		}
		net.Connect(a, b)
		for range 2 {
			if err := <-online; err != nil {
				t.Error(err)
			}
		}
		s, err := a.Status(t.Context())
		if got := fmt.Sprint(s.State, s.Nodes, s.Clients); err != nil || got != "online1 0" && got != "online 1 0" {
			t.Errorf("status: got %+v, %v, want online with one node", s, err)
		}
	})
}

// TestMaxInboundOfManyAtOnce has more peers come at once than may stay.
func TestMaxInboundOfManyAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(slowLink)
		const most = 3
		host := net.Start(gamelan.Config{MaxInbound: most})
		for range 3 * most {
			guest := net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
			net.Introduce(guest, host)
			go guest.Dial(t.Context(), host.ID())
		}
		time.Sleep(time.Minute)
		if got := len(host.Connections()); got != most {
			t.Errorf("got %d inbound connections, want %d", got, most)
		}
		other := net.Start(gamelan.Config{})
		net.Connect(host, other) // one of ours is no inbound one
	})
}

func TestUnban(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
		net.Connect(a, b)
		if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "a test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := b.Dial(t.Context(), a.ID()); err == nil {
			t.Error("a banned peer: got a connection, want it refused")
		}
		for _, lift := range []func(){
			func() { time.Sleep(time.Hour) },
			func() {
				if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "a test"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if err := a.Peers().Unban(t.Context(), b.ID()); err != nil {
					t.Fatal(err)
				}
			},
		} {
			lift()
			if _, err := a.Dial(t.Context(), b.ID()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
	})
}

// TestDialEndsWithItsCaller has callers give up while the peer cannot be reached:
// when it can be again, nobody dials it, and its address is none the worse.
//
// conforms: comms 113
func TestDialEndsWithItsCaller(t *testing.T) {
	for name, want := range map[string]func(ctx context.Context, a *gamelantest.Node, peer identity.NodeID){
		"dial": func(ctx context.Context, a *gamelantest.Node, peer identity.NodeID) {
			if _, err := a.Dial(ctx, peer); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the context", err)
			}
		},
		"call": func(ctx context.Context, a *gamelantest.Node, peer identity.NodeID) {
			if _, err := a.RPC().Client(peer, "test/rpc/1").Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the context", err)
			}
		},
		"message": func(ctx context.Context, a *gamelantest.Node, peer identity.NodeID) {
			if o, err := a.Send(ctx, peer, []byte("too late")); o.Kind == protocol.Confirmed {
				t.Errorf("got %v, %v, want a failure", o, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
				net.Introduce(a, b)
				net.Partition(a, b)
				var callers sync.WaitGroup
				for i := range 3 {
					callers.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
						defer cancel()
						want(ctx, a, b.ID())
					})
				}
				time.Sleep(2500 * time.Millisecond)
				if got := len(a.Inspection().Peer(b.ID()).Attempts); got != 0 {
					t.Errorf("one caller is left: got %d attempts ended, want the dial to go on", got)
				}
				callers.Wait()
				synctest.Wait()
				attempts := a.Inspection().Peer(b.ID()).Attempts
				if len(attempts) != 1 || !errors.Is(attempts[0].Err, context.Canceled) {
					t.Errorf("got attempts %v, want one that was cancelled", attempts)
				}
				p, _ := a.Peers().Get(b.ID())
				if p.Offline() {
					t.Errorf("got address %+v, want no failure of it", p.Addresses)
				}
				net.Heal(a, b)
				time.Sleep(5 * time.Minute)
				if len(a.Connections()) > 0 || len(a.Inspection().Peer(b.ID()).Attempts) != 1 {
					t.Errorf("got connections %v and attempts %v, want no dial that nobody waits for", a.Connections(), a.Inspection().Peer(b.ID()).Attempts)
				}
				if _, err := a.Dial(t.Context(), b.ID()); err != nil {
					t.Errorf("dial again: %v", err)
				}
			})
		})
	}
}

// TestDialGoesOnForOthers has one of those who want a peer give up.
func TestDialGoesOnForOthers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		net.Partition(a, b)
		release := a.Protect(b.ID(), "test")
		defer release()
		dialled := make(chan error, 1)
		go func() {
			_, err := a.Dial(t.Context(), b.ID())
			dialled <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, b.ID()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
		synctest.Wait()
		if got := a.Inspection().Peer(b.ID()).Attempts; len(got) != 0 {
			t.Errorf("got attempts %v, want the dial to go on", got)
		}
		net.Heal(a, b)
		if err := <-dialled; err != nil {
			t.Errorf("the other caller: %v", err)
		}
	})
}

// TestEndedConnectionsTakeNoMemory: however a connection ends, and whether or not messages were
// taken on it, nobody keeps it, with its buffers, for long.
func TestEndedConnectionsTakeNoMemory(t *testing.T) {
	for name, end := range map[string]func(a, b *gamelan.Node, c *rememberedConn){
		"cut":       func(_, _ *gamelan.Node, c *rememberedConn) { c.Conn.(*memory.Conn).Cut() },
		"here":      func(a, b *gamelan.Node, _ *rememberedConn) { a.Disconnect(context.Background(), b.ID()) },
		"elsewhere": func(a, b *gamelan.Node, _ *rememberedConn) { b.Disconnect(context.Background(), a.ID()) },
	} {
		for _, takes := range []gamelan.Option{
			gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil }),
			gamelan.WithLogger(discard), // no messages
		} {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				dials := &rememberedDials{Transport: net.Transport()}
				a, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithTransport(dials), gamelan.WithLogger(discard), takes)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close(context.Background())
				b := net.Start(gamelan.Config{}, takes).Node
				if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
					t.Fatal(err)
				}
				for _, send := range [][2]*gamelan.Node{{a, b}, {b, a}} {
					if _, err := send[0].Send(t.Context(), send[1].ID(), []byte("hello")); err != nil {
						t.Fatal(err)
					}
				}
				conn := dials.last
				end(a, b, conn.Value())
				time.Sleep(2 * time.Minute)
				for range 3 {
					runtime.GC()
				}
				if conn.Value() != nil {
					t.Errorf("%s: the connection is still in memory", name)
				}
			})
		}
	}
}

// rememberedDials is a transport that remembers its last connection, and does not keep it.
type rememberedDials struct {
	transport.Transport
	last weak.Pointer[rememberedConn]
}

type rememberedConn struct{ transport.Conn }

func (d *rememberedDials) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	c, err := d.Transport.Dial(ctx, a)
	if err != nil {
		return nil, err
	}
	conn := &rememberedConn{c}
	d.last = weak.Make(conn)
	return conn, nil
}

// shownConnection returns the first connection of the section "connections".
func shownConnection(t *testing.T, n *gamelan.Node) models.Connection {
	t.Helper()
	all, err := n.Inspection().Sections.Value(t.Context(), "connections")
	if err != nil {
		t.Fatal(err)
	}
	return all.([]models.Connection)[0]
}

// TestMessagesShown: the section "connections" counts the messages of a connection, tells what of the peer's
// messages is being handled, and keeps the counts when the connection has ended.
func TestMessagesShown(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		handles, done := make(chan struct{}), make(chan struct{})
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(func(context.Context, gamelan.Message) error {
			handles <- struct{}{}
			<-done
			return nil
		}))
		net.Connect(a, b)
		for range 3 {
			if _, err := a.Send(t.Context(), b.ID(), make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		<-handles
		synctest.Wait()
		if c := shownConnection(t, b.Node); c.MessagesIn != 3 || c.MessagesOut != 0 || c.Credit.Used < 3000 || c.Credit.Used > 6000 || c.Credit.Limit < c.Credit.Used {
			t.Errorf("while the first is handled: got %d in, %d out, credit %+v, want 3 in and somewhat more than 3000 bytes", c.MessagesIn, c.MessagesOut, c.Credit)
		}
		if c := shownConnection(t, a.Node); c.MessagesOut != 3 || c.MessagesIn != 0 || c.Credit.Used != 0 {
			t.Errorf("the sender: got %d in, %d out, credit %+v, want 3 out and no credit", c.MessagesIn, c.MessagesOut, c.Credit)
		}
		close(done)
		<-handles
		<-handles
		synctest.Wait()
		if c := shownConnection(t, b.Node); c.Credit.Used != 0 {
			t.Errorf("when all is handled: got credit %+v, want none", c.Credit)
		}
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c := shownConnection(t, b.Node); c.ClosedAt.IsZero() || c.MessagesIn != 3 {
			t.Errorf("ended: got %+v, want 3 messages in", c)
		}
	})
}

// TestStallsShown: a write that has to wait because the peer does not read is counted once, also if it waits again.
func TestStallsShown(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		reads := make(chan struct{})
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithStreams("/late/1", func(_ context.Context, s *gamelan.Stream) error {
			<-reads
			_, err := io.Copy(io.Discard, s)
			return err
		}))
		net.Connect(a, b)
		stream, err := a.OpenStream(t.Context(), b.ID(), "/late/1")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if c := shownConnection(t, a.Node); c.Stalls != 0 {
			t.Errorf("at first: got %d stalls, want none", c.Stalls)
		}
		wrote := make(chan error)
		go func() {
			_, err := stream.Write(make([]byte, 4<<20))
			wrote <- err
		}()
		time.Sleep(time.Second)
		if c := shownConnection(t, a.Node); c.Stalls != 1 {
			t.Errorf("while the peer does not read: got %d stalls, want 1", c.Stalls)
		}
		close(reads)
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	})
}

// TestPendingBytes: the section "connections" tells what the messages to a peer cost that have no outcome yet.
func TestPendingBytes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Connect(a, b)
		handler := inspect.Handler(a.Inspection().Options)
		pending := func() int64 {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/connections?state=open", nil)
			r.Host = "localhost"
			handler.ServeHTTP(w, r)
			var page struct{ Items []models.Connection }
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 1 {
				t.Fatalf("got %d: %s", w.Code, w.Body)
			}
			return page.Items[0].PendingBytes
		}
		if n := pending(); n != 0 {
			t.Errorf("before: got %d bytes, want none", n)
		}
		net.Partition(a, b)
		ended := make(chan error)
		go func() {
			_, err := a.Send(t.Context(), b.ID(), make([]byte, 1000))
			ended <- err
		}()
		time.Sleep(time.Second)
		if n := pending(); n < 1000 || n > 2000 {
			t.Errorf("while it waits: got %d bytes, want somewhat more than 1000", n)
		}
		net.Heal(a, b)
		<-ended
		time.Sleep(time.Minute)
		net.Connect(a, b)
		if n := pending(); n != 0 {
			t.Errorf("afterwards: got %d bytes, want none", n)
		}
	})
}

// TestSubstreamsShown: the section "connections" has the substreams of a connection, each with its protocol, the
// actor that has it, and its bytes.
func TestSubstreamsShown(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithProtocol("/echo/1", newEcho))
		net.Connect(a, b)
		stream, err := a.OpenStream(t.Context(), b.ID(), "/echo/1")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if _, err := stream.Write(make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, n := range []struct {
			node             *gamelantest.Node
			direction, owner string
			in, out          uint64
		}{{a, "outbound", "", 0, 300}, {b, "inbound", "/extensions/echo-1", 300, 0}} {
			all, err := n.node.Inspection().Sections.Value(t.Context(), "connections")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all.([]models.Connection) {
				i := slices.IndexFunc(c.Substreams, func(s models.Substream) bool { return s.Protocol == "/echo/1" })
				if i < 0 {
					t.Fatalf("%s: got the substreams %+v, want one of /echo/1", n.direction, c.Substreams)
				}
				if s := c.Substreams[i]; s.Direction != n.direction || !strings.HasSuffix(s.OwnerActor, n.owner) || s.BytesIn < n.in || s.BytesOut < n.out || time.Since(s.OpenedAt) > 2*time.Second {
					t.Errorf("%s: got %+v", n.direction, s)
				}
			}
		}
	})
}
