package calls

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// inbound is the credit in use for what comes in.
func inbound(n *gamelantest.Node) int64 {
	in, _, _, _ := nodetest.Trunk(n).Credit()
	return in
}

// A caller that panics in the middle of a stream leaves nothing behind.
func TestBubbleRPCCallerPanics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{}, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
		for range 3 {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic got lost")
					}
				}()
				for range rpc.Items[kit.Number, kit.Blob](t.Context(), p.Calls, kit.Endless, wrapperspb.UInt64(100_000)) {
					panic("on purpose")
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if got, err := p.Greet(ctx, "again"); err != nil || got != "Hello, again" {
				t.Errorf("got %q, %v from a call afterwards", got, err)
			}
			cancel()
		}
		p.Idle(t)
	})
}

// The body of a loop over large items may call the same peer.
func TestBubbleRPCNested(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{}, gamelan.Config{})
		for range rpc.Items[kit.Number, kit.Blob](t.Context(), p.Calls, kit.Endless, wrapperspb.UInt64(2_000_000)) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if _, err := rpc.Call[kit.Number, kit.Blob](ctx, p.Calls, kit.Sized, wrapperspb.UInt64(2_000_000)); err != nil {
				t.Errorf("got %v from a call in the loop", err)
			}
			cancel()
			break
		}
		p.Idle(t)
	})
}

// All sessions of a peer together hold what one message does, at either side, and
// small requests get through meanwhile.
func TestBubbleRPCPeerCredit(t *testing.T) {
	const most = 6<<20 + 1024
	announce := "005ffff0 0801"
	t.Run("server", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			h := newByHand(t, gamelan.Config{})
			var all []kit.RawSession
			for range 8 {
				w := h.session()
				w.Send(announce)
				all = append(all, w)
			}
			time.Sleep(time.Second)
			if in := inbound(h.Server); in == 0 || in > most {
				t.Errorf("got %d bytes held, want those of one request", in)
			}
			h.MustGreet(t)
			for _, w := range all {
				w.Close()
			}
			h.Idle(t)
		})
	})
	t.Run("client", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			p, streams := serveByHand(t, gamelan.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if _, err := p.Greet(ctx, "you"); err == nil {
						t.Error("got an answer")
					}
				})
			}
			for range 4 {
				w := accept(kit.RawSession{T: t, Stream: <-streams})
				w.Request()
				w.Send(announce)
			}
			time.Sleep(time.Second)
			if in := inbound(p.Client); in == 0 || in > most {
				t.Errorf("got %d bytes held, want those of one answer", in)
			}
			wg.Wait()
			p.Idle(t)
		})
	})
}

// A call that ends while its answer is half there leaves no credit taken, whatever
// becomes of the session; and the session goes on behind that answer.
func TestBubbleRPCHalfAnswer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
		half := func() (w kit.RawSession) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { _, err := p.Greet(ctx, "you"); done <- err }()
			w = accept(kit.RawSession{T: t, Stream: <-streams})
			w.Request()
			w.Send("00001000 0801 1801 52f91f" + strings.Repeat("61", 3000))
			gamelantest.Eventually(t, time.Second, "credit in use", func() bool { return inbound(p.Client) > 0 })
			cancel()
			if err := <-done; err == nil {
				t.Error("got an answer")
			}
			if r := w.Request(); r.Flags != onecall.FIN {
				t.Errorf("got %+v, want the call stopped", r)
			}
			p.Idle(t)
			return w
		}
		w := half()
		w.Send(strings.Repeat("61", 4096-3007))
		done := make(chan error, 1)
		go func() { _, err := p.Greet(t.Context(), "you"); done <- err }()
		w.Request()
		w.Send("0000000a 0802 1801 52040a026869")
		if err := <-done; err != nil {
			t.Errorf("got %v after the half answer", err)
		}
		w.Close()
		time.Sleep(time.Second)
		half()
		p.Net.Cut(p.Client, p.Server)
		p.Idle(t)
	})
}

// A request that waits for the method before it is counted until its own has
// ended, and a session whose method came late ends when it is idle.
func TestBubbleRPCQueued(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := newByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{Idle: 10 * time.Minute}})
		h.Service.Stubborn.Store(true)
		request := func(id, method uint32, flags onecall.Flags, payload []byte) []byte {
			return onecall.FrameRequest(append(make([]byte, onecall.Room), payload...), onecall.Request{ID: id, Method: method, Deadline: 60, Flags: flags})
		}
		w := h.session()
		w.Write(request(1, kit.Wait, 0, kit.Raw(t, "08a09c01"))) // 20 s
		gamelantest.Eventually(t, time.Second, "the method", func() bool { return h.Service.Running.Load() == 1 })
		if !held(h.Server, h.Client) {
			t.Error("the connection counts as idle while a call runs")
		}
		w.Write(request(1, kit.Wait, onecall.FIN, nil))
		time.Sleep(time.Second)
		w.Write(request(2, kit.Echo, 0, make([]byte, 100_000)))
		gamelantest.Eventually(t, time.Second, "credit in use", func() bool { return inbound(h.Server) > 100_000 })
		w.Write(request(2, kit.Echo, onecall.FIN, nil))
		gamelantest.Eventually(t, time.Second, "no credit in use", func() bool { return inbound(h.Server) == 0 })
		time.Sleep(20 * time.Second)
		h.Idle(t)
		w.Write(request(3, kit.Echo, 0, kit.Raw(t, "0a0161")))
		if r := w.Response(); r.ID != 3 {
			t.Errorf("got %+v, want the answer of 3", r)
		}
		w.Write(request(4, kit.Wait, 0, kit.Raw(t, "08c0cf24"))) // 600 s
		if r := w.Response(); r.Status != rpc.Timeout {
			t.Errorf("got %+v, want a timeout", r)
		}
		time.Sleep(time.Hour)
		h.served(0)
		if held(h.Server, h.Client) {
			t.Error("the connection counts as used when no call runs")
		}
		w.Close()
	})
}

// held reports whether a node keeps its connection to another.
func held(n, to *gamelantest.Node) bool {
	for _, x := range nodetest.Trunk(n).Live() {
		if x.Peer == to.ID() {
			return x.KeptOpen
		}
	}
	return false
}
