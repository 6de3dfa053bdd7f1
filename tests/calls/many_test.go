package calls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestThousandCalls: calls of 300 ms of one client run at once, on one session.
//
// conforms: V 37
func TestThousandCalls(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{}, gamelan.Config{})
		for range 2 { // the second time all that serves them is there
			synctest.Wait() // the calls before have ended at the server, too, which runs 1024 at once
			began := time.Now()
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if _, err := rpc.Call[kit.Number, kit.Text](t.Context(), p.Calls, kit.Wait, wrapperspb.UInt64(300)); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
			if text := treeText(t, p.Server); !strings.Contains(text, "1000 of 1024 at once") {
				t.Errorf("got\n%s\nwant the calls counted", text)
			}
			wg.Wait()
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("1,000 calls of 300 ms took %v", took)
			}
		}
		if n := kit.Sessions(p.Server); n != 1 {
			t.Errorf("got %d sessions", n)
		}
		p.Idle(t)
	})
}

// TestSlowStreams: streams whose callers take nothing hold up neither calls nor other streams, of small and of large items.
//
// conforms: V 37
func TestSlowStreams(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{}, gamelan.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				for range rpc.Items[kit.Number, kit.Blob](ctx, p.Calls, kit.Endless, wrapperspb.UInt64(uint64(100+1000*(i%100)))) {
					<-ctx.Done()
				}
			})
		}
		time.Sleep(10 * time.Second)
		before := p.Service.Running.Load()
		began := time.Now()
		for _, n := range []int{0, 100, 5000, 100_000, 3_000_000} {
			got, err := rpc.Call[kit.Blob, kit.Blob](t.Context(), p.Calls, kit.Echo, wrapperspb.Bytes(bytes.Repeat([]byte{7}, n)))
			if err != nil || len(got.Value) != n {
				t.Errorf("%d bytes: got %d, %v", n, len(got.GetValue()), err)
			}
		}
		items := 0
		for _, err := range rpc.Items[kit.Number, kit.Blob](t.Context(), p.Calls, kit.Endless, wrapperspb.UInt64(10_000)) {
			if err != nil {
				t.Fatal(err)
			}
			if items++; items == 1000 {
				break
			}
		}
		if took := time.Since(began); before != 200 || took > time.Second {
			t.Errorf("%v beside %d slow streams", took, before)
		}
		for _, n := range []*gamelantest.Node{p.Server, p.Client} {
			if in := inbound(n); in > 4<<20 {
				t.Errorf("got %d bytes of credit in use", in)
			}
		}
		cancel()
		wg.Wait()
		p.Idle(t)
	})
}

// TestLargeRequests: large requests whose methods wait hold no more than a peer may, and small ones pass them.
//
// conforms: V 37
func TestLargeRequests(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		net := gamelantest.NewNetwork(t)
		server := net.Start(gamelan.Config{}, gamelan.WithService(rpc.Service{Protocol: kit.TestService, Methods: []rpc.Method{
			rpc.UnaryBytes(1, func(_ context.Context, b []byte) ([]byte, error) { <-hold; return b[:1], nil }),
			rpc.UnaryBytes(2, func(_ context.Context, b []byte) ([]byte, error) { return b, nil }),
		}}))
		client := net.Start(gamelan.Config{})
		net.Connect(client, server)
		c := client.RPC().Client(server.ID(), kit.TestService)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if got, err := rpc.CallBytes(t.Context(), c, 1, bytes.Repeat([]byte{7}, 300_000)); err != nil || len(got) != 1 {
					t.Errorf("got %d, %v", len(got), err)
				}
			})
		}
		time.Sleep(time.Second)
		if in := inbound(server); in > 1<<20 || in < 600_000 {
			t.Errorf("got %d bytes held, want what one peer may have", in)
		}
		began := time.Now()
		for range 100 {
			if _, err := rpc.CallBytes(t.Context(), c, 2, make([]byte, 3000)); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("small calls took %v beside large ones", took)
		}
		close(hold)
		wg.Wait()
		gamelantest.Eventually(t, 5*time.Second, "no credit in use", func() bool { return inbound(server) == 0 })
	})
}

// TestCallLimits: a call above a limit is refused at once, with what the limit is, how much it allows and which setting it is; others go on.
//
// conforms: V 37, 39
func TestCallLimits(t *testing.T) {
	for name, x := range map[string]struct {
		limits gamelan.RPCConfig
		runs   int
		want   string
	}{
		"of a peer":   {gamelan.RPCConfig{MaxPeerCalls: 3}, 3, "calls of one peer: 3 at once, as many as there may be ([rpc] max_peer_calls)"},
		"of a source": {gamelan.RPCConfig{MaxCalls: 6}, 3, "3 calls run, 3 of them from one source, which leaves room for others (at most 6: [rpc] max_calls)"},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p := kit.NewPair(t, gamelan.Config{RPC: x.limits}, gamelan.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for range x.runs {
					wg.Go(func() { rpc.Call[kit.Number, kit.Text](ctx, p.Calls, kit.Wait, wrapperspb.UInt64(60_000)) })
				}
				time.Sleep(time.Second)
				began := time.Now()
				if _, err := p.Greet(t.Context(), "more"); !errors.Is(err, rpc.Exhausted) || !strings.Contains(fmt.Sprint(err), x.want) || time.Since(began) > time.Second {
					t.Errorf("got %v, want %q", err, x.want)
				}
				cancel()
				wg.Wait()
				time.Sleep(time.Second)
				p.MustGreet(t)
				p.Idle(t)
			})
		})
	}
}

// TestManyDeadlines: each call of a session has its own deadline, at both ends, and a method that heeds nothing holds up nobody.
//
// conforms: V 37
func TestManyDeadlines(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{}, gamelan.Config{})
		p.Service.Stubborn.Store(true)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				limit := time.Duration(1+i) * 20 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				began := time.Now()
				_, err := rpc.Call[kit.Number, kit.Text](ctx, p.Calls, kit.Wait, wrapperspb.UInt64(5000))
				if took := time.Since(began); !errors.Is(err, rpc.Timeout) || !errors.Is(err, context.DeadlineExceeded) || took < limit || took > limit+20*time.Millisecond {
					t.Errorf("got %v after %v, want a timeout after %v", err, took, limit)
				}
			})
		}
		wg.Wait()
		p.MustGreet(t)
		time.Sleep(10 * time.Second)
		p.Idle(t)
	})
}

// many opens a session that carries many calls, by hand.
func (h *byHand) many() kit.RawSession {
	w := h.open()
	w.Send("00000004 0a020001")
	w.Expect("00000002 0801")
	w.Expect("00000006 1006 18808004") // 64 KiB for all calls
	return w
}

func sendFrames(w kit.RawSession, list ...manycalls.Frame) {
	w.T.Helper()
	var b []byte
	for _, f := range list {
		b = manycalls.Append(b, &f)
	}
	if _, err := w.Write(b); err != nil {
		w.T.Logf("send: %v", err)
	}
}

// TestManyBadClients: whoever breaks the rules of such a session loses it, and nothing else; nothing is left of it.
//
// conforms: V 37
func TestManyBadClients(t *testing.T) {
	open := func(id uint64) manycalls.Frame {
		return manycalls.Frame{Call: id, Kind: manycalls.Open, Number: kit.Wait, Deadline: 600_000, Last: true, Payload: []byte{8, 0xff, 0x7f}}
	}
	ends := func(w kit.RawSession) {
		w.T.Helper()
		time.Sleep(time.Second)
		b := make([]byte, 64<<10)
		for {
			if _, err := w.Read(b); err != nil {
				return
			}
		}
	}
	for name, f := range map[string]func(h *byHand){
		"gone at once":  func(h *byHand) { h.many().Close() },
		"gone in order": func(h *byHand) { w := h.many(); w.CloseWrite(); w.Ends() },
		"gone in calls": func(h *byHand) { w := h.many(); sendFrames(w, open(1), open(2)); time.Sleep(time.Second); w.Close() },
		"ended in calls": func(h *byHand) {
			w := h.many()
			sendFrames(w, open(1))
			time.Sleep(time.Second)
			w.CloseWrite()
			ends(w)
		},
		"half a frame":     func(h *byHand) { w := h.many(); w.Send("00000100 0801"); w.Close() },
		"a frame too long": func(h *byHand) { w := h.many(); w.Last("00100000 0801"); ends(w) },
		"undecodable":      func(h *byHand) { w := h.many(); w.Last("00000002 0a05"); ends(w) },
		"a call twice":     func(h *byHand) { w := h.many(); sendFrames(w, open(1), open(1)); ends(w) },
		"an answer":        func(h *byHand) { w := h.many(); sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Done}); ends(w) },
		"more than the credit": func(h *byHand) {
			w := h.many()
			sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Open, Payload: make([]byte, 5000)})
			ends(w)
		},
		"half a request": func(h *byHand) {
			w := h.many()
			sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Open, Number: kit.Echo, Deadline: 1000, Length: 100})
			time.Sleep(2 * time.Second)
			w.Close()
		},
		"a huge request": func(h *byHand) {
			w := h.many()
			sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Open, Number: kit.Echo, Deadline: 1000, Length: 1 << 30})
			time.Sleep(time.Second)
			h.MustGreet(h.t)
			w.Close()
		},
		"cancelled": func(h *byHand) {
			w := h.many()
			for id := range uint64(500) {
				sendFrames(w, open(id+1), manycalls.Frame{Call: id + 1, Kind: manycalls.Cancel})
			}
			time.Sleep(time.Second)
			w.Close()
		},
		"many calls": func(h *byHand) {
			w := h.many()
			for id := range uint64(manycalls.MaxCalls + 1) {
				sendFrames(w, open(id+1))
			}
			ends(w)
		},
		"reads nothing": func(h *byHand) {
			w := h.many()
			for id := range uint64(50) {
				sendFrames(w, manycalls.Frame{Call: id + 1, Kind: manycalls.Open, Number: kit.Endless, Deadline: 5000, Last: true, Payload: []byte{8, 0xff, 0x7f}})
			}
			time.Sleep(time.Minute)
			h.MustGreet(h.t)
			w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				h := newByHand(t, gamelan.Config{})
				f(h)
				time.Sleep(time.Minute)
				gamelantest.Eventually(t, 30*time.Second, "no session but the honest one", func() bool {
					return kit.Sessions(h.Server) == len(h.ClientSessions())
				})
				h.MustGreet(t)
				h.Idle(t)
				if _, why, banned := h.Server.Peers().Banned(h.Client.ID()); banned {
					t.Errorf("got a ban: %s", why)
				}
			})
		})
	}
}

// TestSessionsWithOthers: towards a peer of another make there are at most 16 sessions for all its services, and an idle one ends for
// a service that has none.
//
// conforms: V 37
func TestSessionsWithOthers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		services := make([]*kit.Service, 6)
		var opts []gamelan.Option
		for i := range services {
			services[i] = new(kit.Service)
			s := services[i].Service()
			s.Protocol = protocol.ID(fmt.Sprintf("test/rpc/%d", i))
			opts = append(opts, gamelan.WithService(s))
		}
		server, client := net.Start(gamelan.Config{RPC: gamelan.RPCConfig{MaxPeerSessions: 100}}, opts...), net.Start(gamelan.Config{})
		net.Connect(client, server)
		kit.TakeFor(t, client, server, "tari/test")
		var wg sync.WaitGroup
		call := func(i int) {
			c := client.RPC().Client(server.ID(), protocol.ID(fmt.Sprintf("test/rpc/%d", i)))
			if _, err := rpc.Call[kit.Number, kit.Text](t.Context(), c, kit.Wait, wrapperspb.UInt64(10_000)); err != nil {
				t.Error(err)
			}
		}
		for i := range 24 {
			wg.Go(func() { call(i % 6) })
		}
		time.Sleep(5 * time.Second)
		if n := kit.Sessions(server); n != 16 {
			t.Errorf("got %d sessions, want 16", n)
		}
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the calls that had to wait took %v", took)
		}
		for i := range 4 { // the sessions are idle, and belong to whom they belong
			wg.Go(func() { call(i % 6) })
		}
		wg.Wait()
	})
}
