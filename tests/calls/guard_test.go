package calls

import (
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
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// callLog is a log of calls, of an interceptor.
type callLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *callLog) intercept(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
	began := time.Now()
	err := next(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%s %d %v: %v", call.Peer, call.Method, time.Since(began).Round(time.Second), err))
	return err
}

func (l *callLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// A service lets in the peers that its policy allows, and both sides see each call in their
// interceptors, with deadlines of their own.
func TestBubbleRPCGuarded(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		friend, stranger := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		var served, called callLog
		s := new(kit.Service)
		guarded := s.Service()
		guarded.Interceptors = []rpc.Interceptor{served.intercept, rpc.Deadline(5 * time.Second)}
		guarded.Allow = rpc.AllowPeers(friend.ID())
		guarded.AllowMethod = map[uint32]rpc.Policy{kit.Echo: rpc.AllowAll}
		server := net.Start(gamelan.Config{}, gamelan.WithService(guarded))
		net.Connect(friend, server)
		net.Connect(stranger, server)
		calls := func(n *gamelantest.Node, opts ...rpc.ClientOption) *rpc.Client {
			return n.RPC().Client(server.ID(), kit.TestService, opts...)
		}
		expect := func(log *callLog, peer *gamelantest.Node, parts ...string) {
			t.Helper()
			synctest.Wait() // the answer leaves before the interceptor returns
			lines := log.take()
			if len(lines) != 1 || !strings.HasPrefix(lines[0], peer.ID().String()) {
				t.Errorf("got %q, want one call with %s", lines, peer.ID())
				return
			}
			for _, part := range parts {
				if !strings.Contains(lines[0], part) {
					t.Errorf("got %q, want %q in it", lines[0], part)
				}
			}
		}

		if got, err := rpc.Call[kit.Text, kit.Text](t.Context(), calls(friend, rpc.Interceptor(called.intercept)), kit.Greet, wrapperspb.String("Ann")); err != nil || got.Value != "Hello, Ann" {
			t.Errorf("got %v, %v", got, err)
		}
		expect(&served, friend, " 1 0s: <nil>")
		expect(&called, server, " 1 0s: <nil>")

		_, err := rpc.Call[kit.Text, kit.Text](t.Context(), calls(stranger, rpc.Interceptor(called.intercept)), kit.Greet, wrapperspb.String("Eve"))
		if !errors.Is(err, rpc.Forbidden) || !strings.Contains(err.Error(), "method 1 is not allowed for this peer") {
			t.Errorf("got %v, want forbidden", err)
		}
		if n := s.Calls.Load(); n != 1 {
			t.Errorf("got %d calls of the method, want 1", n)
		}
		expect(&served, stranger, "forbidden")
		expect(&called, server, "forbidden")
		if got, err := rpc.Call[kit.Blob, kit.Blob](t.Context(), calls(stranger), kit.Echo, wrapperspb.Bytes([]byte("x"))); err != nil || string(got.Value) != "x" {
			t.Errorf("got %v, %v from a method for everybody", got, err)
		}
		expect(&served, stranger, " 6 0s: <nil>")

		// The service's deadline.
		began := time.Now()
		_, err = rpc.Call[kit.Number, kit.Text](t.Context(), calls(friend), kit.Wait, wrapperspb.UInt64(60_000))
		if took := time.Since(began).Round(time.Second); !errors.Is(err, rpc.Timeout) || took != 5*time.Second {
			t.Errorf("got %v after %v, want a timeout after 5s", err, took)
		}
		expect(&served, friend, " 3 5s: ", "timeout")

		// The client's.
		began = time.Now()
		_, err = rpc.Call[kit.Number, kit.Text](t.Context(), calls(friend, rpc.Deadline(2*time.Second)), kit.Wait, wrapperspb.UInt64(60_000))
		if took := time.Since(began).Round(time.Second); !errors.Is(err, rpc.Timeout) || !errors.Is(err, context.DeadlineExceeded) || took != 2*time.Second {
			t.Errorf("got %v after %v, want a timeout after 2s", err, took)
		}
	})
}
