package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

type askedOf struct{ Text string }

// shop is a service that says who has called it, with what.
func shop(panics protocol.PanicPolicy, failures *int) rpc.Service {
	return rpc.Service{Protocol: "/test/shop/1", Encoding: rpc.JSON, OnPanic: panics, Methods: []rpc.Method{
		rpc.Unary(1, func(ctx context.Context, in *askedOf) (*askedOf, error) {
			c, _ := rpc.CallerOf(ctx)
			return &askedOf{fmt.Sprint(in.Text, " of ", c.Peer, " ", c.Metadata["token"], !c.Deadline.IsZero())}, nil
		}),
		rpc.Stream(2, func(ctx context.Context, in *askedOf) iter.Seq2[*askedOf, error] {
			return func(yield func(*askedOf, error) bool) {
				for i := 0; ; i++ {
					if !yield(&askedOf{fmt.Sprint(in.Text, i)}, nil) {
						return
					}
				}
			}
		}),
		rpc.Unary(3, func(ctx context.Context, in *askedOf) (*askedOf, error) {
			switch in.Text {
			case "panic":
				panic("on purpose")
			case "private":
				return nil, errors.New("a secret")
			case "not found":
				return nil, rpc.Errorf(rpc.NotFound, "no gong")
			case "ok":
				return in, nil
			case "flaky":
				if *failures++; *failures < 4 {
					return nil, rpc.Errorf(rpc.Unavailable, "a moment")
				}
				return in, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}),
	}}
}

// TestOwnCalls: a node calls a service of its own as one of a peer.
func TestOwnCalls(t *testing.T) {
	for _, whose := range []string{"own", "a peer's"} {
		t.Run(whose, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				failures := 0
				a := net.Start(gamelan.Config{}, gamelan.WithService(shop(protocol.PanicRestart, &failures)))
				from := a
				if whose != "own" {
					from = net.Start(gamelan.Config{})
					net.Connect(from, a)
				}
				c := from.RPC().Client(a.ID(), "/test/shop/1", rpc.JSON)
				ask := func(ctx context.Context, method uint32, text string) (string, error) {
					r, err := rpc.Call[askedOf, askedOf](ctx, c, method, &askedOf{text})
					if err != nil {
						return "", err
					}
					return r.Text, nil
				}
				ctx := rpc.WithMetadata(t.Context(), rpc.Metadata{"token": "secret", "trace": strings.Repeat("x", 1000)})
				if got, err := ask(ctx, 1, "gong"); err != nil || got != fmt.Sprint("gong of ", from.ID(), " secret", true) {
					t.Errorf("got %q, %v", got, err)
				}
				for name, m := range map[string]rpc.Metadata{"too long": {"x": strings.Repeat("x", 9000)}, "bad name": {"a b": ""}, "no name": {"": ""}} {
					if _, err := ask(rpc.WithMetadata(t.Context(), m), 1, "gong"); !errors.Is(err, rpc.ErrMetadata) {
						t.Errorf("%s: got %v", name, err)
					}
				}
				n := 0
				for item, err := range rpc.Items[askedOf, askedOf](t.Context(), c, 2, &askedOf{"item "}) {
					if err != nil || item.Text != fmt.Sprint("item ", n) {
						t.Fatal(item, err)
					}
					if n++; n == 100 {
						break
					}
				}
				for text, want := range map[string]error{"panic": rpc.General, "private": rpc.General, "not found": rpc.NotFound} {
					if _, err := ask(t.Context(), 3, text); !errors.Is(err, want) || strings.Contains(err.Error(), "secret") {
						t.Errorf("%s: got %v, want %v", text, err, want)
					}
				}
				short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				began := time.Now()
				if _, err := ask(short, 3, "waits"); !errors.Is(err, rpc.Timeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 60*time.Millisecond {
					t.Errorf("got %v after %v, want a timeout after 50 ms", err, time.Since(began))
				}
				if _, err := ask(t.Context(), 9, ""); !errors.Is(err, rpc.UnsupportedMethod) {
					t.Errorf("got %v of a method that is not there", err)
				}
				for _, err := range rpc.Items[askedOf, askedOf](t.Context(), c, 1, &askedOf{"x"}) {
					if !errors.Is(err, rpc.ErrOneAnswer) {
						t.Errorf("got %v of a stream of a method with one answer", err)
					}
				}
				if err := a.RPC().Unregister(t.Context(), "/test/shop/1"); err != nil {
					t.Fatal(err)
				}
				if _, err := ask(t.Context(), 1, ""); !errors.Is(err, gamelan.ErrUnsupported) && whose == "own" || err == nil {
					t.Errorf("got %v of a service that was withdrawn", err)
				}
			})
		})
	}
}

// TestRetry: a call that was not run is made again, after pauses, and nothing else is.
func TestRetry(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		failures := 0
		a, b := net.Start(gamelan.Config{RPC: gamelan.RPCConfig{MaxPeerCalls: 1}}, gamelan.WithService(shop(protocol.PanicRestart, &failures))), net.Start(gamelan.Config{})
		net.Connect(a, b)
		plain := b.RPC().Client(a.ID(), "/test/shop/1", rpc.JSON)
		c := b.RPC().Client(a.ID(), "/test/shop/1", rpc.JSON, rpc.Retry(rpc.RetryPolicy{}))
		ask := func(c *rpc.Client, ctx context.Context, text string) error {
			_, err := rpc.Call[askedOf, askedOf](ctx, c, 3, &askedOf{text})
			return err
		}
		if err := ask(plain, t.Context(), "flaky"); !errors.Is(err, rpc.Unavailable) || !rpc.Retryable(err) {
			t.Errorf("got %v without Retry", err)
		}
		began := time.Now()
		if err := ask(c, t.Context(), "flaky"); err != nil || failures != 4 || time.Since(began) < 150*time.Millisecond || time.Since(began) > 350*time.Millisecond {
			t.Errorf("got %v at attempt %d after %v", err, failures, time.Since(began))
		}
		if err := ask(c, t.Context(), "not found"); !errors.Is(err, rpc.NotFound) || rpc.Retryable(err) {
			t.Errorf("got %v", err)
		}

		// A limit that is reached is waited for, and is told as such otherwise.
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		go ask(plain, ctx, "waits")
		time.Sleep(10 * time.Millisecond)
		if err := ask(plain, t.Context(), "ok"); !errors.Is(err, rpc.Exhausted) || !errors.Is(err, rpc.ErrNotRun) || !rpc.Retryable(err) {
			t.Errorf("got %v above the limit", err)
		}
		if err := ask(c, t.Context(), "ok"); err != nil {
			t.Errorf("got %v with Retry", err)
		}
		cancel()

		// A call to a peer that is away was not run, and may be made again. One to an unknown peer may not.
		gone := net.Start(gamelan.Config{})
		net.Connect(b, gone)
		gone.Close(context.Background())
		if err := ask(b.RPC().Client(gone.ID(), "/test/shop/1", rpc.JSON), t.Context(), "ok"); !rpc.Retryable(err) {
			t.Errorf("got %v of a peer that is away", err)
		}
		if err := ask(b.RPC().Client([13]byte{1}, "/test/shop/1", rpc.JSON), t.Context(), "ok"); err == nil || rpc.Retryable(err) {
			t.Errorf("got %v of a peer that is unknown", err)
		}
		ended, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		defer cancel()
		failures = -1000
		began = time.Now()
		if err := ask(c, ended, "flaky"); !errors.Is(err, rpc.Unavailable) || time.Since(began) > 120*time.Millisecond {
			t.Errorf("got %v after %v, want the last error before the deadline", err, time.Since(began))
		}
	})
}
