package calls

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

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// oneSession has a client keep to one session with a service.
var oneSession = gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}}

// come is the next substream that the client opens.
func come(t *testing.T, streams <-chan protocol.Stream) kit.RawSession {
	t.Helper()
	select {
	case s := <-streams:
		return kit.RawSession{T: t, Stream: s}
	case <-time.After(10 * time.Minute):
		t.Fatal("got no substream, want the client to open one")
		return kit.RawSession{}
	}
}

// A server that does not answer the hello is given up after 90 s, however its
// bytes trickle; one that answers just before is used from then on without that
// limit.
func TestBubbleRPCClientHandshakeLimit(t *testing.T) {
	for name, serve := range map[string]func(kit.RawSession){
		"says nothing": func(kit.RawSession) {},
		"trickles":     func(w kit.RawSession) { w.Dribble("00000002 0800", 20*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, oneSession)
				began := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := p.Greet(kit.Bounded(t), "first")
					if took := time.Since(began); !errors.Is(err, rpc.ErrSessionLost) || took != onecall.ClientHandshake {
						t.Errorf("got %v after %v, want a lost session after %v", err, took, onecall.ClientHandshake)
					}
				})
				w := come(t, streams)
				wg.Go(func() { serve(w) })
				wg.Wait()
				w.Close()
				wg.Go(func() {
					if got, err := p.Greet(kit.Bounded(t), "second"); err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w = come(t, streams)
				w.ExpectHello()
				time.Sleep(onecall.ClientHandshake - time.Second)
				w.Send(kit.Accepted)
				w.Request()
				time.Sleep(100 * time.Second) // the handshake's limit has passed
				w.Hi(1)
				wg.Wait()
				if n := len(streams); n != 0 {
					t.Errorf("got %d more sessions, want the one to go on", n)
				}
				w.Close()
				p.Idle(t)
			})
		})
	}
}

// A client that does not say hello is given up after 10 s, however its bytes
// trickle; one that is done just before is served from then on without that limit.
func TestBubbleRPCServerHandshakeLimit(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := newByHand(t, gamelan.Config{})
		began := time.Now()
		w := h.open()
		var wg sync.WaitGroup
		wg.Go(func() { w.Dribble(kit.Hello, 3*time.Second) })
		w.Ends()
		if took := time.Since(began); took != onecall.ServerHandshake {
			t.Errorf("got the end after %v, want %v", took, onecall.ServerHandshake)
		}
		wg.Wait()
		w.Close()
		w = h.open()
		w.Dribble(kit.Hello, time.Second)
		w.Expect(kit.Accepted)
		time.Sleep(time.Minute)
		w.Send(kit.Ping)
		w.Expect(kit.Pong)
		w.Close()
		h.served(0)
	})
}

// Who waits for a session gets one, or is told, whatever becomes of the one that
// is in use.
func TestBubbleRPCWaiters(t *testing.T) {
	const (
		first  = "first"
		second = "second"
	)
	for name, tt := range map[string]struct {
		sessions int
		// The first call runs on w, and the second one waits.
		then func(t *testing.T, p *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream)
		err  error // of the first call
	}{
		"it is answered": {1, func(t *testing.T, _ *kit.Pair, w kit.RawSession, _ <-chan protocol.Stream) {
			w.Hi(1)
			w.Request()
			w.Hi(2)
		}, nil},
		"it ends": {1, func(t *testing.T, _ *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			w.CloseWrite()
			again := accept(come(t, streams))
			again.Request()
			again.Hi(1)
		}, rpc.ErrSessionLost},
		"it is reset": {1, func(t *testing.T, _ *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			w.Close()
			again := accept(come(t, streams))
			again.Request()
			again.Hi(1)
		}, rpc.ErrSessionLost},
		"it breaks the protocol": {1, func(t *testing.T, _ *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			w.Last("00000004 0801 1808")
			again := accept(come(t, streams))
			again.Request()
			again.Hi(1)
		}, rpc.ErrProtocol},
		"its connection ends": {1, func(t *testing.T, p *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			p.Net.Cut(p.Client, p.Server)
			again := accept(come(t, streams))
			again.Request()
			again.Hi(1)
		}, rpc.ErrSessionLost},
		"its actor fails": {1, func(t *testing.T, p *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			gamelantest.Crash(p.Client.Node, p.ClientSessions()[0], "on purpose")
			again := accept(come(t, streams))
			again.Request()
			again.Hi(1)
		}, rpc.ErrSessionLost},
		"another is refused, it is answered": {2, func(t *testing.T, _ *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			other := come(t, streams)
			other.Last("00000004 10011801")
			other.CloseWrite()
			time.Sleep(time.Second)
			w.Hi(1)
			w.Request()
			w.Hi(2)
		}, nil},
		"another is refused, it ends": {2, func(t *testing.T, _ *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			other := come(t, streams)
			other.Last("00000004 10011801")
			other.CloseWrite()
			time.Sleep(time.Second)
			w.Close()
			again := accept(come(t, streams))
			again.Request()
			again.Hi(1)
		}, rpc.ErrSessionLost},
		"another is opened": {2, func(t *testing.T, _ *kit.Pair, w kit.RawSession, streams <-chan protocol.Stream) {
			other := accept(come(t, streams))
			other.Request()
			other.Hi(1)
			w.Hi(1)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				// Only another implementation may have run the call before it ends a session.
				p, streams := serveByHandAs(t, "tari/test", gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: tt.sessions}})
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := p.Greet(kit.Bounded(t), first); !errors.Is(err, tt.err) {
						t.Errorf("first call: got %v, want %v", err, tt.err)
					}
				})
				w := accept(come(t, streams))
				w.Request()
				gone, leave := context.WithCancel(t.Context())
				wg.Go(func() { // it waits longer than the second call, and gives up
					if _, err := p.Greet(gone, "impatient"); !errors.Is(err, context.Canceled) {
						t.Errorf("call that gives up: got %v, want the end of its context", err)
					}
				})
				if tt.sessions == 1 {
					time.Sleep(time.Second)
				} else {
					leave()
				}
				wg.Go(func() {
					if got, err := p.Greet(kit.Bounded(t), second); err != nil || got != "hi" {
						t.Errorf("second call: got %q, %v", got, err)
					}
				})
				time.Sleep(time.Second)
				leave()
				time.Sleep(time.Second)
				tt.then(t, p, w, streams)
				wg.Wait()
				p.Idle(t)
			})
		})
	}
}

// A restart of rpc-client tells those who wait, and the next call works.
func TestBubbleRPCWaitersTold(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, oneSession)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := p.Greet(kit.Bounded(t), "told"); err == nil {
					t.Error("got an answer, want an error")
				}
			})
		}
		w := accept(come(t, streams))
		w.Request()
		synctest.Wait() // until all have asked: who asks after the crash is served
		if !gamelantest.Crash(p.Client.Node, "services/rpc-client", "on purpose") {
			t.Fatal("no actor rpc-client")
		}
		wg.Wait()
		gamelantest.Healed(t, p.Client.Node)
		wg.Go(func() {
			if got, err := p.Greet(kit.Bounded(t), "again"); err != nil || got != "hi" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		w = accept(come(t, streams))
		w.Request()
		w.Hi(1)
		wg.Wait()
		gamelantest.Eventually(t, 5*time.Second, "no credit in use", func() bool {
			in, _, out, _ := nodetest.Trunk(p.Client).Credit()
			return in == 0 && out == 0
		})
	})
}

// A session that rests after a stream was left is waited for, and counts no longer
// once it is idle again or has ended, however: then those who find none idle have
// another opened.
func TestBubbleRPCResting(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(p *kit.Pair, w kit.RawSession)
		over bool // the session
	}{
		"it is idle again":       {func(_ *kit.Pair, w kit.RawSession) { w.Send(kit.Pong) }, false},
		"the server ends it":     {func(_ *kit.Pair, w kit.RawSession) { w.CloseWrite() }, true},
		"the server resets it":   {func(_ *kit.Pair, w kit.RawSession) { w.Close() }, true},
		"the server breaks it":   {func(_ *kit.Pair, w kit.RawSession) { w.Last("00000001 08") }, true},
		"no pong comes":          {func(*kit.Pair, kit.RawSession) { time.Sleep(11 * time.Second) }, true},
		"its connection is gone": {func(p *kit.Pair, _ kit.RawSession) { p.Net.Cut(p.Client, p.Server) }, true},
		"its actor fails": {func(p *kit.Pair, _ kit.RawSession) {
			gamelantest.Crash(p.Client.Node, p.ClientSessions()[0], "on purpose")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				var wg sync.WaitGroup
				greets := func() {
					wg.Go(func() {
						if got, err := p.Greet(kit.Bounded(t), "next"); err != nil || got != "hi" {
							t.Errorf("got %q, %v", got, err)
						}
					})
					time.Sleep(time.Second)
				}
				wg.Go(func() {
					for range rpc.Items[kit.Number, kit.Number](kit.Bounded(t), p.Calls, kit.Count, wrapperspb.UInt64(0)) {
						break
					}
				})
				w := accept(come(t, streams))
				w.Request()
				w.Send("00000006 0801 5202 0801")
				w.Request() // to stop
				w.Request() // the ping
				wg.Wait()
				greets()
				if n := len(streams); n != 0 {
					t.Errorf("got %d sessions opened while one rests, want none", n)
				}
				tt.end(p, w)
				id := 2
				if tt.over {
					w, id = accept(come(t, streams)), 1
				}
				w.Request()
				// While that one is in use, others are opened.
				var others []kit.RawSession
				for range 3 {
					greets()
					other := accept(come(t, streams))
					other.Request()
					others = append(others, other)
				}
				w.Hi(id)
				for _, other := range others {
					other.Hi(1)
				}
				wg.Wait()
			})
		})
	}
}

// A session that nobody has used, because who had asked for it gave up, ends after
// five minutes like one that was.
func TestBubbleRPCNeverUsed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, oneSession)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Greet(ctx, "nobody"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
		w := accept(come(t, streams))
		time.Sleep(4*time.Minute + 50*time.Second)
		if n := len(p.ClientSessions()); n != 1 {
			t.Errorf("got %d sessions before the limit, want 1", n)
		}
		began := time.Now()
		if _, err := w.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) > time.Minute {
			t.Errorf("got %v after %v more, want the end in order after 5 min", err, time.Since(began))
		}
		w.CloseWrite()
		gamelantest.Eventually(t, 5*time.Second, "no session", func() bool { return len(p.ClientSessions()) == 0 })
		p.Idle(t)
	})
}

// All sessions of a pool may have ended while they were idle: a call that meets
// them one after another is made on a new one.
//
// conforms: V 19
func TestBubbleRPCAllEnded(t *testing.T) {
	for name, end := range map[string]func(kit.RawSession){
		"in order": func(w kit.RawSession) { w.CloseWrite() },
		"reset":    func(w kit.RawSession) { w.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				var wg sync.WaitGroup
				var all []kit.RawSession
				for range 4 {
					wg.Go(func() {
						if got, err := p.Greet(kit.Bounded(t), "one of four"); err != nil || got != "hi" {
							t.Errorf("got %q, %v", got, err)
						}
					})
					w := accept(come(t, streams))
					w.Request()
					all = append(all, w)
				}
				for _, w := range all {
					w.Hi(1)
				}
				wg.Wait()
				for _, w := range all {
					end(w)
				}
				time.Sleep(time.Second)
				wg.Go(func() {
					if got, err := p.Greet(kit.Bounded(t), "again"); err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w := accept(come(t, streams))
				if r := w.Request(); r.ID != 1 || r.Method != kit.Greet {
					t.Errorf("got %+v, want the request on a session of its own", r)
				}
				w.Hi(1)
				wg.Wait()
				for _, w := range all {
					w.Close()
				}
				p.Idle(t)
			})
		})
	}
}

// A server that ends every session before it takes a request is not asked for
// ever: a call is repeated at most once for each session that there may be, and
// once more.
func TestBubbleRPCRepeatsEnd(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 3}})
		over := make(chan struct{})
		tries := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case s := <-streams:
					tries++
					w := kit.RawSession{T: t, Stream: s}
					w.ExpectHello()
					w.Send(kit.Accepted)
					w.Close()
				case <-over:
					return
				}
			}
		})
		if _, err := p.Greet(kit.Bounded(t), "in vain"); !errors.Is(err, rpc.ErrSessionLost) {
			t.Errorf("got %v, want a lost session", err)
		}
		close(over)
		wg.Wait()
		if tries > 5 {
			t.Errorf("got %d sessions tried, want at most 5", tries)
		}
		p.Idle(t)
	})
}

// A unary call that its caller gives up is told to a node like ours. To others
// nothing is sent while it runs: in 6.2 the wish to stop keeps the session
// standing until the method has ended. The session is used again when the call's
// deadline has passed, and is closed when that is far away.
func TestBubbleRPCUnaryGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		agent    string
		deadline time.Duration
		wants    func(t *testing.T, w kit.RawSession)
	}{
		"by us": {"", 5 * time.Second, func(t *testing.T, w kit.RawSession) {
			if r := w.Request(); r.ID != 1 || r.Flags != onecall.FIN {
				t.Errorf("got %+v, want the call stopped", r)
			}
			if r := w.Request(); r.ID != 2 || r.Flags != 0 {
				t.Errorf("got %+v, want the next call", r)
			}
		}},
		"by another, for a moment": {"tari/test", 5 * time.Second, func(t *testing.T, w kit.RawSession) {
			began := time.Now()
			if r := w.Request(); r.ID != 2 || r.Flags != 0 || time.Since(began) < 4*time.Second {
				t.Errorf("got %+v after %v, want the next call after the deadline and nothing before", r, time.Since(began))
			}
		}},
		"by another, for long": {"tari/test", time.Minute, func(t *testing.T, w kit.RawSession) {
			if b, err := io.ReadAll(w); len(b) > 0 || err != nil {
				t.Errorf("got %x, %v, want the end in order and nothing before", b, err)
			}
			w.CloseWrite()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHandAs(t, tt.agent, oneSession)
				ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
				defer cancel()
				time.AfterFunc(time.Second, cancel)
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := p.Greet(ctx, "given up"); err == nil || strings.Contains(err.Error(), "lost") {
						t.Errorf("got %v, want the end of the context", err)
					}
					if got, err := p.Greet(kit.Bounded(t), "next"); err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w := accept(come(t, streams))
				w.Request()
				tt.wants(t, w)
				id := 2
				if tt.deadline == time.Minute {
					w.Close()
					w, id = accept(come(t, streams)), 1
					w.Request()
				}
				w.Hi(id)
				wg.Wait()
				p.Idle(t)
			})
		})
	}
}

// manyServices starts a server with that many services, and a client. The function makes a call to one of them.
func manyServices(t *testing.T, limits gamelan.RPCConfig, agent string, services int, ran *atomic.Int64) (client *gamelantest.Node, call func(int) error) {
	t.Helper()
	net := gamelantest.NewNetwork(t)
	id := func(i int) protocol.ID { return protocol.ID(fmt.Sprintf("test/service-%d/1", i)) }
	var opts []gamelan.Option
	for i := range services {
		opts = append(opts, gamelan.WithService(rpc.Service{Protocol: id(i), Methods: []rpc.Method{
			rpc.UnaryBytes(1, func(_ context.Context, b []byte) ([]byte, error) { ran.Add(1); return b, nil }),
		}}))
	}
	server, client := net.Start(gamelan.Config{RPC: limits}, opts...), net.Start(gamelan.Config{})
	net.Connect(client, server)
	if agent != "" {
		kit.TakeFor(t, client, server, agent)
	}
	return client, func(i int) error {
		_, err := rpc.CallBytes(kit.Bounded(t), client.RPC().Client(server.ID(), id(i)), 1, nil)
		return err
	}
}

// TestManyServicesOfOnePeer: a client calls one service more of a peer than it may have sessions with, by the peer's limit or by its own. One idle
// session ends for each that is new.
//
// conforms: V 37
func TestManyServicesOfOnePeer(t *testing.T) {
	for name, x := range map[string]struct {
		limits   gamelan.RPCConfig
		agent    string
		services int
	}{
		"the peer's limit":                  {gamelan.RPCConfig{}, "", 11},
		"the peer's limit, of another make": {gamelan.RPCConfig{}, "tari/test", 11},
		"its own limit":                     {gamelan.RPCConfig{MaxPeerSessions: 100}, "", 17},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				var ran atomic.Int64
				client, call := manyServices(t, x.limits, x.agent, x.services, &ran)
				for range 2 {
					for i := range x.services {
						began := time.Now()
						if err := call(i); err != nil || time.Since(began) > 2*time.Second {
							t.Errorf("service %d: got %v after %v", i, err, time.Since(began))
						}
					}
					synctest.Wait()
					if got, want := kit.LineOf(t, client, "services/rpc-client"), fmt.Sprintf("%d sessions", x.services-1); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				if got := ran.Load(); got != int64(2*x.services) {
					t.Errorf("%d calls were run, want %d", got, 2*x.services)
				}
			})
		})
	}
}

// TestServicesRoundAndRound: 24 callers go round 12 services of a peer that allows ten sessions: sessions make way, each call is run once, and all
// come to their end.
func TestServicesRoundAndRound(t *testing.T) {
	const services, callers, rounds = 12, 24, 3
	gamelantest.Bubble(t, func(t *testing.T) {
		var ran atomic.Int64
		_, call := manyServices(t, gamelan.RPCConfig{}, "", services, &ran)
		began := time.Now()
		var wg sync.WaitGroup
		for k := range callers {
			wg.Go(func() {
				for i := range rounds * services {
					for {
						err := call((k + i) % services)
						if err == nil {
							break
						}
						if _, ok := errors.AsType[*rpc.RejectedError](err); !ok {
							t.Errorf("service %d: %v", (k+i)%services, err)
							return
						}
						time.Sleep(time.Second)
					}
				}
			})
		}
		wg.Wait()
		if got := ran.Load(); got != callers*rounds*services {
			t.Errorf("%d calls were run, want %d", got, callers*rounds*services)
		}
		if took := time.Since(began); took > 10*time.Minute {
			t.Errorf("they took %v", took)
		}
	})
}
