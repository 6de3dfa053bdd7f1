package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// oneSession has a client keep to one session with a service.
var oneSession = gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}}

// hi answers the request with this id, as greet does.
func (w rawSession) hi(id int) {
	w.t.Helper()
	w.send(fmt.Sprintf("0000000a 08%02x 1801 52040a026869", id))
}

// come is the next substream that the client opens.
func come(t *testing.T, streams <-chan protocol.Stream) rawSession {
	t.Helper()
	select {
	case s := <-streams:
		return rawSession{t, s}
	case <-time.After(10 * time.Minute):
		t.Fatal("got no substream, want the client to open one")
		return rawSession{}
	}
}

// bounded is for calls that may wait in vain.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// dribble sends the bytes one at a time, until the peer has had enough.
func (w rawSession) dribble(text string, pause time.Duration) {
	for _, b := range raw(w.t, text) {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// A server that does not answer the hello is given up after 90 s, however its
// bytes trickle; one that answers just before is used from then on without that
// limit.
func TestBubbleRPCClientHandshakeLimit(t *testing.T) {
	for name, serve := range map[string]func(rawSession){
		"says nothing": func(rawSession) {},
		"trickles":     func(w rawSession) { w.dribble("00000002 0800", 20*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, oneSession)
				began := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := p.greet(bounded(t), "first")
					if took := time.Since(began); !errors.Is(err, rpc.ErrSessionLost) || took != rpc.ClientHandshake {
						t.Errorf("got %v after %v, want a lost session after %v", err, took, rpc.ClientHandshake)
					}
				})
				w := come(t, streams)
				wg.Go(func() { serve(w) })
				wg.Wait()
				w.Close()
				wg.Go(func() {
					if got, err := p.greet(bounded(t), "second"); err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w = come(t, streams)
				w.expect(hello)
				time.Sleep(rpc.ClientHandshake - time.Second)
				w.send(accepted)
				w.request()
				time.Sleep(100 * time.Second) // the handshake's limit has passed
				w.hi(1)
				wg.Wait()
				if n := len(streams); n != 0 {
					t.Errorf("got %d more sessions, want the one to go on", n)
				}
				w.Close()
				p.idle(t)
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
		wg.Go(func() { w.dribble(hello, 3*time.Second) })
		w.ends()
		if took := time.Since(began); took != rpc.ServerHandshake {
			t.Errorf("got the end after %v, want %v", took, rpc.ServerHandshake)
		}
		wg.Wait()
		w.Close()
		w = h.open()
		w.dribble(hello, time.Second)
		w.expect(accepted)
		time.Sleep(time.Minute)
		w.send(ping)
		w.expect(pong)
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
		then func(t *testing.T, p *pair, w rawSession, streams <-chan protocol.Stream)
		err  error // of the first call
	}{
		"it is answered": {1, func(t *testing.T, _ *pair, w rawSession, _ <-chan protocol.Stream) {
			w.hi(1)
			w.request()
			w.hi(2)
		}, nil},
		"it ends": {1, func(t *testing.T, _ *pair, w rawSession, streams <-chan protocol.Stream) {
			w.CloseWrite()
			again := accept(come(t, streams))
			again.request()
			again.hi(1)
		}, rpc.ErrSessionLost},
		"it is reset": {1, func(t *testing.T, _ *pair, w rawSession, streams <-chan protocol.Stream) {
			w.Close()
			again := accept(come(t, streams))
			again.request()
			again.hi(1)
		}, rpc.ErrSessionLost},
		"it breaks the protocol": {1, func(t *testing.T, _ *pair, w rawSession, streams <-chan protocol.Stream) {
			w.last("00000004 0801 1808")
			again := accept(come(t, streams))
			again.request()
			again.hi(1)
		}, rpc.ErrProtocol},
		"its connection ends": {1, func(t *testing.T, p *pair, w rawSession, streams <-chan protocol.Stream) {
			p.net.Cut(p.client, p.server)
			again := accept(come(t, streams))
			again.request()
			again.hi(1)
		}, rpc.ErrSessionLost},
		"its actor fails": {1, func(t *testing.T, p *pair, w rawSession, streams <-chan protocol.Stream) {
			gamelantest.Crash(p.client.Node, p.clientSessions()[0], "on purpose")
			again := accept(come(t, streams))
			again.request()
			again.hi(1)
		}, rpc.ErrSessionLost},
		"another is refused, it is answered": {2, func(t *testing.T, _ *pair, w rawSession, streams <-chan protocol.Stream) {
			other := come(t, streams)
			other.last("00000004 10011801")
			other.CloseWrite()
			time.Sleep(time.Second)
			w.hi(1)
			w.request()
			w.hi(2)
		}, nil},
		"another is refused, it ends": {2, func(t *testing.T, _ *pair, w rawSession, streams <-chan protocol.Stream) {
			other := come(t, streams)
			other.last("00000004 10011801")
			other.CloseWrite()
			time.Sleep(time.Second)
			w.Close()
			again := accept(come(t, streams))
			again.request()
			again.hi(1)
		}, rpc.ErrSessionLost},
		"another is opened": {2, func(t *testing.T, _ *pair, w rawSession, streams <-chan protocol.Stream) {
			other := accept(come(t, streams))
			other.request()
			other.hi(1)
			w.hi(1)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				// Only another implementation may have run the call before it ends a session.
				p, streams := serveByHandAs(t, "tari/test", gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: tt.sessions}})
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := p.greet(bounded(t), first); !errors.Is(err, tt.err) {
						t.Errorf("first call: got %v, want %v", err, tt.err)
					}
				})
				w := accept(come(t, streams))
				w.request()
				gone, leave := context.WithCancel(t.Context())
				wg.Go(func() { // it waits longer than the second call, and gives up
					if _, err := p.greet(gone, "impatient"); !errors.Is(err, context.Canceled) {
						t.Errorf("call that gives up: got %v, want the end of its context", err)
					}
				})
				if tt.sessions == 1 {
					time.Sleep(time.Second)
				} else {
					leave()
				}
				wg.Go(func() {
					if got, err := p.greet(bounded(t), second); err != nil || got != "hi" {
						t.Errorf("second call: got %q, %v", got, err)
					}
				})
				time.Sleep(time.Second)
				leave()
				time.Sleep(time.Second)
				tt.then(t, p, w, streams)
				wg.Wait()
				p.idle(t)
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
				if _, err := p.greet(bounded(t), "told"); err == nil {
					t.Error("got an answer, want an error")
				}
			})
		}
		w := accept(come(t, streams))
		w.request()
		synctest.Wait() // until all have asked: who asks after the crash is served
		if !gamelantest.Crash(p.client.Node, "services/rpc-client", "on purpose") {
			t.Fatal("no actor rpc-client")
		}
		wg.Wait()
		gamelantest.Healed(t, p.client.Node)
		wg.Go(func() {
			if got, err := p.greet(bounded(t), "again"); err != nil || got != "hi" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		w = accept(come(t, streams))
		w.request()
		w.hi(1)
		wg.Wait()
		gamelantest.Eventually(t, 5*time.Second, "no credit in use", func() bool {
			in, _, out, _ := nodetest.Trunk(p.client).Credit()
			return in == 0 && out == 0
		})
	})
}

// A session that rests after a stream was left is waited for, and counts no longer
// once it is idle again or has ended, however: then those who find none idle have
// another opened.
func TestBubbleRPCResting(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(p *pair, w rawSession)
		over bool // the session
	}{
		"it is idle again":       {func(_ *pair, w rawSession) { w.send(pong) }, false},
		"the server ends it":     {func(_ *pair, w rawSession) { w.CloseWrite() }, true},
		"the server resets it":   {func(_ *pair, w rawSession) { w.Close() }, true},
		"the server breaks it":   {func(_ *pair, w rawSession) { w.last("00000001 08") }, true},
		"no pong comes":          {func(*pair, rawSession) { time.Sleep(11 * time.Second) }, true},
		"its connection is gone": {func(p *pair, _ rawSession) { p.net.Cut(p.client, p.server) }, true},
		"its actor fails": {func(p *pair, _ rawSession) {
			gamelantest.Crash(p.client.Node, p.clientSessions()[0], "on purpose")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				var wg sync.WaitGroup
				greets := func() {
					wg.Go(func() {
						if got, err := p.greet(bounded(t), "next"); err != nil || got != "hi" {
							t.Errorf("got %q, %v", got, err)
						}
					})
					time.Sleep(time.Second)
				}
				wg.Go(func() {
					for range rpc.Items[number, number](bounded(t), p.calls, count, wrapperspb.UInt64(0)) {
						break
					}
				})
				w := accept(come(t, streams))
				w.request()
				w.send("00000006 0801 5202 0801")
				w.request() // to stop
				w.request() // the ping
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
				w.request()
				// While that one is in use, others are opened.
				var others []rawSession
				for range 3 {
					greets()
					other := accept(come(t, streams))
					other.request()
					others = append(others, other)
				}
				w.hi(id)
				for _, other := range others {
					other.hi(1)
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
		if _, err := p.greet(ctx, "nobody"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
		w := accept(come(t, streams))
		time.Sleep(4*time.Minute + 50*time.Second)
		if n := len(p.clientSessions()); n != 1 {
			t.Errorf("got %d sessions before the limit, want 1", n)
		}
		began := time.Now()
		if _, err := w.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) > time.Minute {
			t.Errorf("got %v after %v more, want the end in order after 5 min", err, time.Since(began))
		}
		w.CloseWrite()
		gamelantest.Eventually(t, 5*time.Second, "no session", func() bool { return len(p.clientSessions()) == 0 })
		p.idle(t)
	})
}

// All sessions of a pool may have ended while they were idle: a call that meets
// them one after another is made on a new one.
//
// conforms: V 19
func TestBubbleRPCAllEnded(t *testing.T) {
	for name, end := range map[string]func(rawSession){
		"in order": func(w rawSession) { w.CloseWrite() },
		"reset":    func(w rawSession) { w.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				var wg sync.WaitGroup
				var all []rawSession
				for range 4 {
					wg.Go(func() {
						if got, err := p.greet(bounded(t), "one of four"); err != nil || got != "hi" {
							t.Errorf("got %q, %v", got, err)
						}
					})
					w := accept(come(t, streams))
					w.request()
					all = append(all, w)
				}
				for _, w := range all {
					w.hi(1)
				}
				wg.Wait()
				for _, w := range all {
					end(w)
				}
				time.Sleep(time.Second)
				wg.Go(func() {
					if got, err := p.greet(bounded(t), "again"); err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w := accept(come(t, streams))
				if r := w.request(); r.ID != 1 || r.Method != greet {
					t.Errorf("got %+v, want the request on a session of its own", r)
				}
				w.hi(1)
				wg.Wait()
				for _, w := range all {
					w.Close()
				}
				p.idle(t)
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
					w := rawSession{t, s}
					w.expect(hello)
					w.send(accepted)
					w.Close()
				case <-over:
					return
				}
			}
		})
		if _, err := p.greet(bounded(t), "in vain"); !errors.Is(err, rpc.ErrSessionLost) {
			t.Errorf("got %v, want a lost session", err)
		}
		close(over)
		wg.Wait()
		if tries > 5 {
			t.Errorf("got %d sessions tried, want at most 5", tries)
		}
		p.idle(t)
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
		wants    func(t *testing.T, w rawSession)
	}{
		"by us": {"", 5 * time.Second, func(t *testing.T, w rawSession) {
			if r := w.request(); r.ID != 1 || r.Flags != rpc.FIN {
				t.Errorf("got %+v, want the call stopped", r)
			}
			if r := w.request(); r.ID != 2 || r.Flags != 0 {
				t.Errorf("got %+v, want the next call", r)
			}
		}},
		"by another, for a moment": {"tari/test", 5 * time.Second, func(t *testing.T, w rawSession) {
			began := time.Now()
			if r := w.request(); r.ID != 2 || r.Flags != 0 || time.Since(began) < 4*time.Second {
				t.Errorf("got %+v after %v, want the next call after the deadline and nothing before", r, time.Since(began))
			}
		}},
		"by another, for long": {"tari/test", time.Minute, func(t *testing.T, w rawSession) {
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
					if _, err := p.greet(ctx, "given up"); err == nil || strings.Contains(err.Error(), "lost") {
						t.Errorf("got %v, want the end of the context", err)
					}
					if got, err := p.greet(bounded(t), "next"); err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w := accept(come(t, streams))
				w.request()
				tt.wants(t, w)
				id := 2
				if tt.deadline == time.Minute {
					w.Close()
					w, id = accept(come(t, streams)), 1
					w.request()
				}
				w.hi(id)
				wg.Wait()
				p.idle(t)
			})
		})
	}
}
