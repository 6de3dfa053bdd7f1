package calls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// callers are the clients that a service has: a peer, and its own node.
func callers(t *testing.T, s rpc.Service, f func(t *testing.T, server *gamelantest.Node, c *rpc.Client)) {
	for _, name := range []string{"a peer", "itself"} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				server, client := net.Start(gamelan.Config{}, gamelan.WithService(s)), net.Start(gamelan.Config{})
				net.Connect(client, server)
				from := client
				if name == "itself" {
					from = server
				}
				f(t, server, from.RPC().Client(server.ID(), s.Protocol))
			})
		})
	}
}

// TestSlowRequests: requests that come slowly end no call, whatever the caller waits for meanwhile.
func TestSlowRequests(t *testing.T) {
	callers(t, new(taking).service(), func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		got, err := rpc.Upload[kit.Number, kit.Number](context.Background(), c, sumAll, func(yield func(*kit.Number, error) bool) {
			for range 5 {
				time.Sleep(5 * time.Minute)
				if !yield(wrapperspb.UInt64(1), nil) {
					return
				}
			}
		})
		if err != nil || got.Value != 5 {
			t.Errorf("a request every 5 minutes: got %v, %v", got, err)
		}
		err = rpc.Exchange(context.Background(), c, echoAll, func(d *rpc.Duplex[kit.Blob, kit.Blob]) error {
			var wg sync.WaitGroup
			wg.Go(func() {
				for range 5 {
					time.Sleep(5 * time.Minute)
					d.Send(&kit.Blob{})
				}
				d.CloseSend()
			})
			defer wg.Wait()
			for n := 0; ; n++ {
				if _, err := d.Receive(); err == io.EOF && n == 5 {
					return nil
				} else if err != nil {
					return fmt.Errorf("%d: %w", n, err)
				}
			}
		})
		if err != nil {
			t.Errorf("a message every 5 minutes: %v", err)
		}
		began := time.Now()
		_, err = rpc.Upload[kit.Number, kit.Number](context.Background(), c, sumAll, func(yield func(*kit.Number, error) bool) {
			for yield(wrapperspb.UInt64(1), nil) {
				time.Sleep(time.Hour)
			}
		})
		if !errors.Is(err, rpc.Timeout) {
			t.Errorf("a request every hour: got %v after %v", err, time.Since(began))
		}
	})
}

// TestSlowMethodOfRequests: a method has its time from the request that it took last, however long it has waited for that.
func TestSlowMethodOfRequests(t *testing.T) {
	s := rpc.Service{Protocol: streamsID, Methods: []rpc.Method{
		rpc.ClientStream(1, func(ctx context.Context, in iter.Seq2[*kit.Number, error]) (*kit.Number, error) {
			for range in {
				<-ctx.Done()
			}
			return nil, ctx.Err()
		}),
	}}
	callers(t, s, func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		err := rpc.Exchange(context.Background(), c, 1, func(d *rpc.Duplex[kit.Number, kit.Number]) error {
			time.Sleep(5 * time.Minute)
			if err := d.Send(&kit.Number{}); err != nil {
				t.Error(err)
			}
			began := time.Now()
			_, err := d.Receive()
			if took := time.Since(began); took < rpc.DefaultDeadline-time.Second || took > rpc.DefaultDeadline+5*time.Second {
				t.Errorf("the method has had %v", took)
			}
			return err
		})
		if !errors.Is(err, rpc.Timeout) {
			t.Errorf("got %v", err)
		}
	})
}

// TestExchangeNotThere: a method that is not there says so at once.
func TestExchangeNotThere(t *testing.T) {
	callers(t, new(taking).service(), func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		began := time.Now()
		err := rpc.Exchange(t.Context(), c, 99, func(d *rpc.Duplex[kit.Number, kit.Number]) error {
			_, err := d.Receive()
			return err
		})
		if !errors.Is(err, rpc.UnsupportedMethod) || time.Since(began) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if _, err := rpc.Upload[kit.Number, kit.Number](t.Context(), c, 99, numbers()); !errors.Is(err, rpc.UnsupportedMethod) {
			t.Errorf("got %v of no requests", err)
		}
	})
}

// TestExchangeAfterIdle: a session that the server has ended meanwhile is no error of the next call.
func TestExchangeAfterIdle(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server := net.Start(gamelan.Config{RPC: gamelan.RPCConfig{MaxSessions: 1}}, gamelan.WithService(new(taking).service()))
		for range 2 {
			clients := []*gamelantest.Node{net.Start(gamelan.Config{}), net.Start(gamelan.Config{})}
			for range 3 {
				for _, c := range clients {
					net.Connect(c, server)
					if _, err := rpc.Upload[kit.Number, kit.Number](t.Context(), c.RPC().Client(server.ID(), streamsID), sumAll, numbers(1)); err != nil {
						t.Errorf("got %v", err)
					}
					time.Sleep(time.Minute)
				}
			}
		}
	})
}

// TestDeadlineOfRequests: the context of an interceptor ends the wait for requests, and the end of the call does so too.
func TestDeadlineOfRequests(t *testing.T) {
	all := new(taking)
	s := all.service()
	s.Interceptors = []rpc.Interceptor{rpc.Deadline(5 * time.Second)}
	callers(t, s, func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		for _, method := range []uint32{sumAll, echoAll} {
			began := time.Now()
			err := rpc.Exchange(t.Context(), c, method, func(d *rpc.Duplex[kit.Number, kit.Number]) error {
				_, err := d.Receive()
				return err
			})
			if took := time.Since(began); !errors.Is(err, rpc.Timeout) || took > 6*time.Second {
				t.Errorf("method %d: got %v after %v", method, err, took)
			}
		}
	})
}

// TestOwnExchangeOfAClosedNode: a node that is closed makes no calls.
func TestOwnExchangeOfAClosedNode(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server := net.Start(gamelan.Config{}, gamelan.WithService(new(taking).service()))
		c := server.RPC().Client(server.ID(), streamsID)
		server.Close(context.Background())
		began := time.Now()
		if _, err := rpc.Call[kit.Number, kit.Number](context.Background(), c, one, &kit.Number{}); !errors.Is(err, gamelan.ErrClosed) || time.Since(began) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if _, err := rpc.Upload[kit.Number, kit.Number](context.Background(), c, sumAll, numbers(1)); !errors.Is(err, gamelan.ErrClosed) || time.Since(began) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

// TestTasksOfRequests: requests that wait for memory take one task for each call.
//
// conforms: V 37, 39
func TestTasksOfRequests(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := newByHand(t, gamelan.Config{})
		h.Service.Stubborn.Store(true)
		h.MustGreet(t)
		full := h.session() // its request has all memory of the peer
		full.Send("00500000 0801")
		time.Sleep(time.Second)
		w := h.many()
		before := runtime.NumGoroutine()
		for id := range uint64(100) {
			frames := []manycalls.Frame{
				{Call: id + 1, Kind: manycalls.Open, Number: kit.Ignore, Deadline: 600_000, Bare: true},
				{Call: id + 1, Kind: manycalls.Message, Shared: 1, Payload: []byte{0}},
			}
			for range 60 {
				frames = append(frames, manycalls.Frame{Call: id + 1, Kind: manycalls.Message})
			}
			sendFrames(w, frames...)
		}
		time.Sleep(time.Second)
		if n := runtime.NumGoroutine() - before; n > 250 {
			t.Errorf("got %d goroutines more for 100 calls", n)
		}
		w.Close()
		full.Close()
		h.Idle(t)
	})
}

// TestOwnCallWithoutItems: a call for one answer of a method that gives none is the same error for a peer and for the node itself.
func TestOwnCallWithoutItems(t *testing.T) {
	callers(t, new(taking).service(), func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		if _, err := rpc.Call[kit.Number, kit.Number](t.Context(), c, list, &kit.Number{}); !errors.Is(err, rpc.ErrProtocol) {
			t.Errorf("got %v", err)
		}
		if _, err := rpc.Upload[kit.Number, kit.Number](t.Context(), c, list, numbers(0)); !errors.Is(err, rpc.ErrProtocol) {
			t.Errorf("got %v", err)
		}
	})
}

// TestSendWithoutReceive: a caller that sends and takes nothing is not ended by the time of the method, which waits for it.
func TestSendWithoutReceive(t *testing.T) {
	s := rpc.Service{Protocol: streamsID, Methods: []rpc.Method{
		rpc.BidiStream(1, func(ctx context.Context, in iter.Seq2[*kit.Number, error]) iter.Seq2[*kit.Blob, error] {
			return func(yield func(*kit.Blob, error) bool) {
				read := make(chan struct{})
				go func() {
					defer close(read)
					for range in {
					}
				}()
				for range 10 {
					if !yield(wrapperspb.Bytes(make([]byte, 100_000)), nil) {
						return
					}
				}
				<-read
			}
		}),
	}}
	callers(t, s, func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		err := rpc.Exchange(context.Background(), c, 1, func(d *rpc.Duplex[kit.Number, kit.Blob]) error {
			time.Sleep(time.Second)
			for range 3 {
				if err := d.Send(&kit.Number{}); err != nil {
					t.Errorf("send: %v", err)
				}
				time.Sleep(3 * time.Minute)
			}
			d.CloseSend()
			for n := 0; ; n++ {
				if _, err := d.Receive(); err == io.EOF && n == 10 {
					return nil
				} else if err != nil {
					return fmt.Errorf("%d: %w", n, err)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestRequestsOfAnotherContext: an interceptor whose ctx never ends keeps no method waiting for a caller that has gone.
func TestRequestsOfAnotherContext(t *testing.T) {
	all := new(taking)
	s := all.service()
	s.Interceptors = []rpc.Interceptor{func(ctx context.Context, _ rpc.Invocation, next func(context.Context) error) error {
		return next(context.WithoutCancel(ctx))
	}}
	callers(t, s, func(t *testing.T, _ *gamelantest.Node, c *rpc.Client) {
		if err := rpc.Exchange(t.Context(), c, echoAll, func(*rpc.Duplex[kit.Blob, kit.Blob]) error { time.Sleep(time.Second); return nil }); err != nil {
			t.Error(err)
		}
		gamelantest.Eventually(t, 5*time.Second, "the method to end", func() bool { return all.running.Load() == 0 })
	})
}

// waiting makes a pair whose server is played by hand. One call holds the memory for answers until release is called. The session has come to
// play behind the second Open, of a call whose function is f.
func waiting(t *testing.T, f func(d *rpc.Duplex[kit.Blob, kit.Blob], release func()) error, play func(w kit.RawSession)) {
	p := manyServer(t, func(w kit.RawSession) {
		opened := func() {
			for over := false; !over; {
				f, err := manycalls.Decode(w.Frame())
				over = err != nil || f.Kind == manycalls.Open
			}
		}
		opened()
		sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Message, Length: 2 << 20, Payload: make([]byte, 10)})
		opened()
		play(w)
	})
	first, release := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := rpc.Exchange(first, p.Calls, 1, func(d *rpc.Duplex[kit.Blob, kit.Blob]) error { _, err := d.Receive(); return err })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the call that holds the memory: %v", err)
		}
	})
	time.Sleep(time.Second)
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := rpc.Exchange(within, p.Calls, 1, func(d *rpc.Duplex[kit.Blob, kit.Blob]) error { return f(d, release) }); err != nil {
		t.Error(err)
	}
	release()
	wg.Wait()
	time.Sleep(time.Second)
	p.Client.Disconnect(t.Context(), p.Server.ID())
	p.Idle(t)
}

// TestMemoryOfEndedCalls: a caller that waits for memory hears of the end of its call, and one that is left behind takes none.
//
// conforms: V 37
func TestMemoryOfEndedCalls(t *testing.T) {
	large := manycalls.Frame{Call: 2, Kind: manycalls.Message, Length: 1 << 20, Payload: make([]byte, 10)}
	t.Run("left behind", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			var wg sync.WaitGroup
			waiting(t, func(d *rpc.Duplex[kit.Blob, kit.Blob], _ func()) error {
				wg.Go(func() { d.Receive() })
				time.Sleep(time.Second)
				return nil
			}, func(w kit.RawSession) { sendFrames(w, large) })
			wg.Wait()
		})
	})
	t.Run("answered", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			waiting(t, func(d *rpc.Duplex[kit.Blob, kit.Blob], _ func()) error {
				began := time.Now()
				if _, err := d.Receive(); !errors.Is(err, rpc.NotFound) || time.Since(began) > 5*time.Second {
					t.Errorf("got %v after %v", err, time.Since(began))
				}
				return nil
			}, func(w kit.RawSession) {
				sendFrames(w, large)
				time.Sleep(time.Second)
				sendFrames(w, manycalls.Frame{Call: 2, Kind: manycalls.Done, Number: uint64(rpc.NotFound)})
			})
		})
	})
	t.Run("next message", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			granted := false
			waiting(t, func(d *rpc.Duplex[kit.Blob, kit.Blob], release func()) error {
				var wg sync.WaitGroup
				wg.Go(func() { time.Sleep(2 * time.Second); release() })
				defer wg.Wait()
				if _, err := d.Receive(); err != nil {
					t.Errorf("the first: %v", err)
				}
				if _, err := d.Receive(); !errors.Is(err, rpc.NotFound) {
					t.Errorf("the second: %v", err)
				}
				if !granted {
					t.Error("the second message got no credit")
				}
				return nil
			}, func(w kit.RawSession) {
				sendFrames(w, manycalls.Frame{Call: 2, Kind: manycalls.Message, Length: 4, Shared: 2, Payload: []byte{10, 2}})
				time.Sleep(time.Second)
				second := large
				sendFrames(w, manycalls.Frame{Call: 2, Kind: manycalls.Message, Payload: []byte{1, 2}}, second)
				w.SetReadDeadline(time.Now().Add(10 * time.Second))
				for !granted {
					var head [4]byte
					if _, err := io.ReadFull(w, head[:]); err != nil {
						break
					}
					body := make([]byte, int(head[2])<<8|int(head[3]))
					if _, err := io.ReadFull(w, body); err != nil {
						break
					}
					f, err := manycalls.Decode(body)
					granted = err == nil && f.Kind == manycalls.Credit && f.Call == 2 && f.Number > 500_000
				}
				sendFrames(w, manycalls.Frame{Call: 2, Kind: manycalls.Done, Number: uint64(rpc.NotFound)})
			})
		})
	})
}
