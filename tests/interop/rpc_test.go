package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/interop/testpb"
)

const rpcID protocol.ID = "t/gamelan-test/1"

// Methods of the service that both sides offer.
const (
	sayHello = 1
	itemsOf  = 2
	echoBody = 3
	blobOf   = 4
	waitFor  = 5
	failWith = 6
)

// rpcService is our side of the service.
type rpcService struct{ running, cancelled atomic.Int64 }

func (s *rpcService) service() rpc.Service {
	return rpc.Service{Protocol: rpcID, Methods: []rpc.Method{
		rpc.Unary(sayHello, func(_ context.Context, in *testpb.Hello) (*testpb.Hello, error) {
			return &testpb.Hello{Text: "Hello, " + in.Text}, nil
		}),
		rpc.Stream(itemsOf, func(ctx context.Context, in *testpb.Items) iter.Seq2[*testpb.Item, error] {
			return func(yield func(*testpb.Item, error) bool) {
				s.running.Add(1)
				defer s.running.Add(-1)
				for n := uint64(0); in.Count == 0 || n < in.Count; n++ {
					if in.FailAfter > 0 && n == in.FailAfter {
						yield(nil, rpc.Errorf(rpc.General, "asked for"))
						return
					}
					if in.PauseUs > 0 {
						select {
						case <-time.After(time.Duration(in.PauseUs) * time.Microsecond):
						case <-ctx.Done():
						}
					}
					if !yield(&testpb.Item{Number: n, Body: numbered(n, int(in.Size))}, nil) {
						s.cancelled.Add(1)
						return
					}
				}
			}
		}),
		rpc.Unary(echoBody, func(_ context.Context, in *testpb.Body) (*testpb.Body, error) { return in, nil }),
		rpc.Unary(blobOf, func(_ context.Context, in *testpb.Size) (*testpb.Body, error) {
			return &testpb.Body{Body: numbered(0, int(in.Size))}, nil
		}),
		rpc.Unary(waitFor, func(ctx context.Context, in *testpb.Wait) (*testpb.Hello, error) {
			s.running.Add(1)
			defer s.running.Add(-1)
			for range in.Ms {
				select {
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
					s.cancelled.Add(1)
					return nil, ctx.Err()
				}
			}
			if in.Ms == 0 {
				<-ctx.Done()
				s.cancelled.Add(1)
				return nil, ctx.Err()
			}
			return &testpb.Hello{Text: "waited"}, nil
		}),
		rpc.Unary(failWith, func(_ context.Context, in *testpb.Failure) (*testpb.Hello, error) {
			return nil, rpc.Errorf(rpc.Status(in.Status), "%s", in.Details)
		}),
	}}
}

// rpcPair is a node of ours and a Tari node, connected, that can call each other.
func rpcPair(t *testing.T, release string, who dialer, cfg gamelan.Config, args ...string) (*ours, *tari, *rpcService) {
	t.Helper()
	s := new(rpcService)
	n, p := startOurs(t, cfg, gamelan.WithService(s.service())), startTari(t, release, args...)
	p.knowsNode(n.Node)
	if _, err := n.Peers().AddSeed(t.Context(), p.seed()); err != nil {
		t.Fatal(err)
	}
	if who == weDial {
		if _, err := n.Dial(t.Context(), p.id); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, connectLimit, "the Tari node to know of the connection", func() bool { return len(p.links()) == 1 })
	} else {
		p.must("dial", map[string]any{"peer": n.PublicKey().String()}, nil)
	}
	return n, p, s
}

// unbanned checks that neither has banned the other.
func unbanned(t *testing.T, n *ours, p *tari) {
	t.Helper()
	if _, why, banned := n.Peers().Banned(p.id); banned {
		t.Errorf("we have banned the Tari node: %s", why)
	}
	if r := p.record(n.PublicKey()); r.Banned {
		t.Errorf("the Tari node has banned us: %s", r.BanReason)
	}
}

// We call the Tari nodes: unary, streams, errors, responses in chunks, limits,
// deadlines, and calls that are given up; all on few sessions, and nobody is
// banned.
//
// conforms: comms 96, 99, 105, 107, 149; V 16, 17
// feature: RPC as a client: unary, streams, chunks, deadlines, cancelling
func TestWeCall(t *testing.T) {
	bothWays(t, func(t *testing.T, release string, who dialer) {
		n, p, _ := rpcPair(t, release, who, gamelan.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		calls := n.RPC().Client(p.id, rpcID)
		hello := func() {
			t.Helper()
			if r, err := rpc.Call[testpb.Hello, testpb.Hello](ctx, calls, sayHello, &testpb.Hello{Text: "you"}); err != nil || r.Text != "Hello, you" {
				t.Errorf("got %v, %v", r, err)
			}
		}
		items := func(req *testpb.Items, take uint64) (got uint64, err error) {
			for item, err := range rpc.Items[testpb.Items, testpb.Item](ctx, calls, itemsOf, req) {
				if err != nil {
					return got, err
				}
				if item.Number != got || !bytes.Equal(item.Body, numbered(got, int(req.Size))) {
					return got, fmt.Errorf("item %d is number %d of %d bytes", got, item.Number, len(item.Body))
				}
				if got++; got == take {
					break
				}
			}
			return got, nil
		}
		hello()
		if got, err := items(&testpb.Items{Count: 10_000, Size: 100}, 0); got != 10_000 || err != nil {
			t.Errorf("got %d items, %v, want 10,000", got, err)
		}
		hello()
		for range 100 { // the request that follows a stream
			if got, err := items(&testpb.Items{Count: 2}, 0); got != 2 || err != nil {
				t.Fatalf("got %d items, %v", got, err)
			}
			hello()
		}
		if got, err := items(&testpb.Items{Count: 9, FailAfter: 5}, 0); got != 5 || !errors.Is(err, rpc.General) || !strings.Contains(err.Error(), "asked for") {
			t.Errorf("got %d items, %v, want 5 and an error", got, err)
		}
		for range 3 { // dropped early, at full speed
			if got, err := items(&testpb.Items{Size: 100}, 7); got != 7 || err != nil {
				t.Errorf("got %d items, %v", got, err)
			}
			hello()
		}
		for _, size := range []int{0, 1, 100_000, 393_000, 393_217, 700_000, 2_000_000, 4_000_000} {
			r, err := rpc.Call[testpb.Size, testpb.Body](ctx, calls, blobOf, &testpb.Size{Size: uint64(size)})
			if err != nil || !bytes.Equal(r.Body, numbered(0, size)) {
				t.Errorf("blob of %d bytes: got %d, %v", size, len(r.GetBody()), err)
			}
		}
		if _, err := rpc.Call[testpb.Size, testpb.Body](ctx, calls, blobOf, &testpb.Size{Size: 9 << 20}); !errors.Is(err, rpc.MalformedResponse) {
			t.Errorf("got %v for a blob of 9 MiB, want a malformed response", err)
		}
		for _, size := range []int{0, 100, 3_000_000} {
			// Release 1.0.0-rc.5 answers a large one in chunks.
			r, err := rpc.Call[testpb.Body, testpb.Body](ctx, calls, echoBody, &testpb.Body{Body: numbered(3, size)})
			if err != nil || !bytes.Equal(r.Body, numbered(3, size)) {
				t.Errorf("echo of %d bytes: got %d, %v", size, len(r.GetBody()), err)
			}
		}
		for _, status := range []rpc.Status{rpc.BadRequest, rpc.UnsupportedMethod, rpc.NotImplemented, rpc.General, rpc.NotFound, rpc.Forbidden, rpc.Conflict} {
			_, err := rpc.Call[testpb.Failure, testpb.Hello](ctx, calls, failWith, &testpb.Failure{Status: uint32(status), Details: "so"})
			if !errors.Is(err, status) || !strings.Contains(err.Error(), "so") {
				t.Errorf("got %v, want %v: so", err, status)
			}
		}
		if _, err := rpc.Call[testpb.Hello, testpb.Hello](ctx, calls, 99, &testpb.Hello{}); !errors.Is(err, rpc.UnsupportedMethod) {
			t.Errorf("got %v, want an unsupported method", err)
		}
		if took, err := calls.Ping(ctx); err != nil || took > 10*time.Second {
			t.Errorf("got %v, %v from a ping", took, err)
		}
		short, stop := context.WithTimeout(ctx, 1500*time.Millisecond)
		defer stop()
		if _, err := rpc.Call[testpb.Wait, testpb.Hello](short, calls, waitFor, &testpb.Wait{}); !errors.Is(err, rpc.Timeout) {
			t.Errorf("got %v, want a timeout", err)
		}
		hello()
		given, stop := context.WithCancel(ctx)
		time.AfterFunc(300*time.Millisecond, stop)
		if _, err := rpc.Call[testpb.Wait, testpb.Hello](given, calls, waitFor, &testpb.Wait{Ms: 3000}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want a call given up", err)
		}
		hello()
		var served rpcServed
		gamelantest.Eventually(t, connectLimit, "nothing running at the Tari node", func() bool {
			p.must("rpc_served", nil, &served)
			return served.Running == 0
		})
		if served.Sessions > 4 {
			t.Errorf("got %d sessions, want at most 4", served.Sessions)
		}
		unbanned(t, n, p)
	})
}

// The Tari nodes call us.
//
// conforms: comms 96, 98, 99, 102; V 16, 17
// feature: RPC as a server: unary, streams, deadlines, cancelling, limits
func TestTheyCall(t *testing.T) {
	bothWays(t, func(t *testing.T, release string, who dialer) {
		n, p, s := rpcPair(t, release, who, gamelan.Config{RPC: gamelan.RPCConfig{MaxPeerSessions: 4}})
		key := n.PublicKey().String()
		open := func(a args) uint64 {
			t.Helper()
			session, err := p.rpcOpen(key, a)
			if err != nil {
				t.Fatal(err)
			}
			return session
		}
		session := open(nil)
		call := func(cmd string, a args, ok func(rpcAnswer) bool) {
			t.Helper()
			if r, err := p.rpc(session, cmd, a); err != nil || !ok(r) {
				t.Errorf("%s %v: got %+v, %v", cmd, a, r, err)
			}
		}
		hello := func() {
			t.Helper()
			call("hello", args{"name": "you"}, func(r rpcAnswer) bool { return r.Greeting == "Hello, you" })
		}
		hello()
		call("items", args{"count": 10_000, "size": 100}, func(r rpcAnswer) bool {
			return r.Items == 10_000 && r.Damaged == 0.0 && r.Ended == "end"
		})
		for range 100 { // no race after a stream (comms 103)
			call("items", args{"count": 2, "size": 8}, func(r rpcAnswer) bool { return r.Items == 2 && r.Ended == "end" })
			hello()
		}
		call("items", args{"count": 9, "size": 0, "fail_after": 5}, func(r rpcAnswer) bool {
			return r.Items == 5 && r.Status == 6 && r.Details == "asked for"
		})
		call("items", args{"count": 0, "size": 1, "take": 7, "pause_us": 2000}, func(r rpcAnswer) bool {
			return r.Items == 7 && r.Ended == "dropped"
		})
		gamelantest.Eventually(t, connectLimit, "the dropped stream to end", func() bool { return s.running.Load() == 0 && s.cancelled.Load() == 1 })
		hello()
		for _, size := range []int{0, 100, 393_217, 3_000_000} {
			call("blob", args{"size": size}, func(r rpcAnswer) bool { return r.Size == size && r.Damaged == false })
			call("echo", args{"size": size}, func(r rpcAnswer) bool { return r.Size == size && r.Damaged == false })
		}
		call("blob", args{"size": 4_000_000}, func(r rpcAnswer) bool { return r.Status == uint32(rpc.MalformedResponse) })
		for _, status := range []rpc.Status{rpc.BadRequest, rpc.NotImplemented, rpc.General, rpc.NotFound, rpc.Forbidden, rpc.Conflict} {
			call("fail", args{"status": uint32(status), "details": "so"}, func(r rpcAnswer) bool { return r.Status == uint32(status) && r.Details == "so" })
		}
		call("wait", args{"ms": 50}, func(r rpcAnswer) bool { return r.Greeting == "waited" })
		call("ping", nil, func(r rpcAnswer) bool { return r.Status == 0 })
		hello()

		// A deadline, of a session of its own.
		session = open(args{"deadline_ms": 1000, "grace_ms": 5000})
		call("wait", args{"ms": 0}, func(r rpcAnswer) bool { return r.Status == uint32(rpc.Timeout) })
		hello()
		gamelantest.Eventually(t, connectLimit, "the method to be told", func() bool { return s.running.Load() == 0 })

		open(nil)
		open(nil)
		if _, err := p.rpcOpen(key, nil); err == nil || !strings.Contains(err.Error(), "sessions available") {
			t.Errorf("one session too many: got %v, want a rejection", err)
		}
		p.must("rpc_close", args{"session": session}, nil)
		gamelantest.Eventually(t, connectLimit, "room for another session", func() bool {
			_, err := p.rpcOpen(key, nil)
			return err == nil
		})
		unbanned(t, n, p)
	})
}

// Limits of a Tari node: our calls wait for the sessions that there are, or are
// told; and sessions that it closes while they are idle are replaced.
//
// conforms: V 18, 19
// feature: RPC session limits and idle sessions
func TestTariRPCLimits(t *testing.T) {
	t.Run("sessions", func(t *testing.T) {
		against(t, func(t *testing.T, release string) {
			n, p, _ := rpcPair(t, release, weDial, gamelan.Config{}, "--rpc-sessions-per-peer", "2")
			calls := n.RPC().Client(p.id, rpcID)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if _, err := rpc.Call[testpb.Wait, testpb.Hello](ctx, calls, waitFor, &testpb.Wait{Ms: 100}); err != nil {
						t.Errorf("got %v, want the call to wait its turn", err)
					}
				})
			}
			wg.Wait()
			unbanned(t, n, p)
		})
	})
	t.Run("none left", func(t *testing.T) {
		against(t, func(t *testing.T, release string) {
			n, p, _ := rpcPair(t, release, weDial, gamelan.Config{}, "--rpc-sessions", "1")
			other := startOurs(t, gamelan.Config{})
			if _, err := other.Peers().AddSeed(t.Context(), p.seed()); err != nil {
				t.Fatal(err)
			}
			busy := n.RPC().Client(p.id, rpcID)
			if _, err := busy.Ping(t.Context()); err != nil { // holds the only session
				t.Fatal(err)
			}
			_, err := other.RPC().Client(p.id, rpcID).Ping(t.Context())
			var rejected *rpc.RejectedError
			if !errors.As(err, &rejected) || !rejected.Busy() {
				t.Errorf("got %v, want a rejection for lack of sessions", err)
			}
			unbanned(t, n, p)
			unbanned(t, other, p)
		})
	})
	t.Run("idle", func(t *testing.T) {
		n, p, _ := rpcPair(t, "6.2.0", weDial, gamelan.Config{}, "--rpc-idle-seconds", "1")
		calls := n.RPC().Client(p.id, rpcID)
		for range 2 {
			for range 2 {
				if _, err := rpc.Call[testpb.Hello, testpb.Hello](t.Context(), calls, sayHello, &testpb.Hello{}); err != nil {
					t.Errorf("got %v", err)
				}
			}
			var served rpcServed
			gamelantest.Eventually(t, connectLimit, "the Tari node to close the session", func() bool {
				p.must("rpc_served", nil, &served)
				return served.Sessions == 0
			})
		}
	})
	t.Run("no such service", func(t *testing.T) {
		against(t, func(t *testing.T, release string) {
			n, p, _ := rpcPair(t, release, weDial, gamelan.Config{})
			if _, err := n.RPC().Client(p.id, "t/nobody/1").Ping(t.Context()); err == nil {
				t.Error("got a session with a service that is not there")
			}
			unbanned(t, n, p)
		})
	})
	t.Run("our idle", func(t *testing.T) {
		against(t, func(t *testing.T, release string) {
			n, p, _ := rpcPair(t, release, weDial, gamelan.Config{RPC: gamelan.RPCConfig{Idle: time.Second}})
			session, err := p.rpcOpen(n.PublicKey().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.rpc(session, "hello", args{"name": "you"}); err != nil {
				t.Error(err)
			}
			gamelantest.Eventually(t, connectLimit, "our end to close the session", func() bool {
				for _, info := range n.Inspection().Tree().Snapshot() {
					if info.Kind == "rpcSession" {
						return false
					}
				}
				return true
			})
			if session, err = p.rpcOpen(n.PublicKey().String(), nil); err != nil {
				t.Fatal(err)
			}
			if _, err := p.rpc(session, "hello", args{"name": "you"}); err != nil {
				t.Error(err)
			}
			unbanned(t, n, p)
		})
	})
}

// They dial, and we call at once, when their dialer is content and ours may not know
// yet: in each of 30 rounds the calls go over their connection, which nothing
// of ours crosses.
//
// feature: we call a service while they connect
func TestWeCallAsTheyDial(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		n, p, _ := rpcPair(t, release, theyDial, gamelan.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		calls := n.RPC().Client(p.id, rpcID)
		for round := range 30 {
			if round > 0 {
				if err := n.Disconnect(ctx, p.id); err != nil {
					t.Fatal(err)
				}
				gamelantest.Eventually(t, connectLimit, "no connection at the Tari node", func() bool { return len(p.links()) == 0 })
				p.must("dial", map[string]any{"peer": n.PublicKey().String()}, nil)
			}
			var got uint64
			for item, err := range rpc.Items[testpb.Items, testpb.Item](ctx, calls, itemsOf, &testpb.Items{Count: 2000, Size: 100}) {
				if err != nil {
					t.Fatalf("round %d, after %d items: %v", round, got, err)
				}
				if item.Number == got {
					got++
				}
			}
			if got != 2000 {
				t.Errorf("round %d: got %d items, want 2,000", round, got)
			}
			if ref, ok := n.Connection(p.id); !ok || ref.Direction != protocol.Inbound {
				t.Errorf("round %d: got the connection %+v, want theirs", round, ref)
			}
		}
		unbanned(t, n, p)
	})
}
