package calls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

const streamsID = protocol.ID("test/streams/1")

// Methods of the service with streams of requests.
const (
	sumAll  = 1 // one answer, behind the last request
	echoAll = 2 // an item for each request
	one     = 3 // takes one request
	early   = 4 // an answer after the first request
	ignores = 5 // reads no request
	refuses = 6 // an error after the third request
	greets  = 7 // items before any request
	list    = 8 // one request, items
)

// taking is a service whose methods take streams of requests.
type taking struct {
	running atomic.Int32
	ended   atomic.Value // the error of the last context that ended in ignores
}

func (s *taking) service() rpc.Service {
	begins := func() func() { s.running.Add(1); return func() { s.running.Add(-1) } }
	return rpc.Service{Protocol: streamsID, Methods: []rpc.Method{
		rpc.ClientStream(sumAll, func(_ context.Context, in iter.Seq2[*kit.Number, error]) (*kit.Number, error) {
			defer begins()()
			var n uint64
			for m, err := range in {
				if err != nil {
					return nil, err
				}
				n += m.Value
			}
			return wrapperspb.UInt64(n), nil
		}).Named("Sum"),
		rpc.BidiStream(echoAll, func(_ context.Context, in iter.Seq2[*kit.Blob, error]) iter.Seq2[*kit.Blob, error] {
			return func(yield func(*kit.Blob, error) bool) {
				defer begins()()
				for m, err := range in {
					if !yield(m, err) {
						return
					}
				}
			}
		}).Named("Echo"),
		rpc.Unary(one, func(_ context.Context, m *kit.Number) (*kit.Number, error) { return m, nil }),
		rpc.ClientStream(early, func(_ context.Context, in iter.Seq2[*kit.Number, error]) (*kit.Number, error) {
			defer begins()()
			for m, err := range in {
				return m, err
			}
			return nil, rpc.Errorf(rpc.BadRequest, "nothing")
		}),
		rpc.ClientStream(ignores, func(ctx context.Context, _ iter.Seq2[*kit.Blob, error]) (*kit.Number, error) {
			defer begins()()
			<-ctx.Done()
			s.ended.Store(context.Cause(ctx).Error())
			return nil, ctx.Err()
		}),
		rpc.BidiStream(refuses, func(_ context.Context, in iter.Seq2[*kit.Number, error]) iter.Seq2[*kit.Number, error] {
			return func(yield func(*kit.Number, error) bool) {
				defer begins()()
				n := 0
				for m, err := range in {
					if n++; n == 3 {
						err = rpc.Errorf(rpc.Conflict, "three is enough")
					}
					if !yield(m, err) {
						return
					}
				}
			}
		}),
		rpc.BidiStream(greets, func(_ context.Context, in iter.Seq2[*kit.Text, error]) iter.Seq2[*kit.Text, error] {
			return func(yield func(*kit.Text, error) bool) {
				defer begins()()
				if !yield(wrapperspb.String("who is there?"), nil) {
					return
				}
				for m, err := range in {
					if err == nil {
						m = wrapperspb.String("hello, " + m.Value)
					}
					if !yield(m, err) {
						return
					}
				}
			}
		}),
		rpc.Stream(list, func(_ context.Context, m *kit.Number) iter.Seq2[*kit.Number, error] {
			return func(yield func(*kit.Number, error) bool) {
				for n := range m.Value {
					if !yield(wrapperspb.UInt64(n), nil) {
						return
					}
				}
			}
		}),
	}}
}

// numbers are requests.
func numbers(list ...uint64) iter.Seq2[*kit.Number, error] {
	return func(yield func(*kit.Number, error) bool) {
		for _, n := range list {
			if !yield(wrapperspb.UInt64(n), nil) {
				return
			}
		}
	}
}

// TestStreamsOfRequests: a service takes streams of requests of a peer, and of its own node.
//
// conforms: V 37
func TestStreamsOfRequests(t *testing.T) {
	for _, name := range []string{"a peer", "itself"} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				s := new(taking)
				server, client := net.Start(gamelan.Config{}, gamelan.WithService(s.service())), net.Start(gamelan.Config{})
				net.Connect(client, server)
				if name == "itself" {
					exchanges(t, s, server.RPC().Client(server.ID(), streamsID))
				} else if exchanges(t, s, client.RPC().Client(server.ID(), streamsID)); kit.Sessions(server) != 1 {
					t.Errorf("got %d sessions", kit.Sessions(server))
				}
				p := kit.Pair{Net: net, Server: server, Client: client, Service: new(kit.Service)}
				p.Idle(t)
			})
		})
	}
}

func exchanges(t *testing.T, s *taking, c *rpc.Client) {
	ctx := t.Context()
	// An answer behind the last request, of none, one and many.
	for _, list := range [][]uint64{nil, {7}, {1, 2, 3}, slices.Repeat([]uint64{1}, 5000)} {
		want := uint64(0)
		for _, n := range list {
			want += n
		}
		if got, err := rpc.Upload[kit.Number, kit.Number](ctx, c, sumAll, numbers(list...)); err != nil || got.Value != want {
			t.Errorf("sum of %d: got %v, %v", len(list), got, err)
		}
	}
	if got, err := rpc.Call[kit.Number, kit.Number](ctx, c, sumAll, wrapperspb.UInt64(9)); err != nil || got.Value != 9 {
		t.Errorf("one request: got %v, %v", got, err)
	}
	// An item for each request, in turn and at once, of any size.
	sizes := []int{0, 1, 100, 5000, 70_000, 100_000, 3_000_000}
	echo := func(f func(*rpc.Duplex[kit.Blob, kit.Blob]) error) error { return rpc.Exchange(ctx, c, echoAll, f) }
	err := echo(func(d *rpc.Duplex[kit.Blob, kit.Blob]) error {
		for _, n := range sizes {
			if err := d.Send(wrapperspb.Bytes(bytes.Repeat([]byte{byte(n)}, n))); err != nil {
				return err
			}
			if got, err := d.Receive(); err != nil || !bytes.Equal(got.Value, bytes.Repeat([]byte{byte(n)}, n)) {
				t.Errorf("%d bytes: got %d, %v", n, len(got.GetValue()), err)
			}
		}
		if err := errors.Join(d.CloseSend(), d.Send(&kit.Blob{}), d.CloseSend()); !errors.Is(err, io.EOF) {
			t.Errorf("got %v of sending behind the last request", err)
		}
		if _, err := d.Receive(); err != io.EOF {
			t.Errorf("got %v behind the last request", err)
		}
		_, err := d.Receive()
		return err
	})
	if err != io.EOF {
		t.Errorf("echo: %v", err)
	}
	err = echo(func(d *rpc.Duplex[kit.Blob, kit.Blob]) error {
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 2000 {
				if err := d.Send(wrapperspb.Bytes(bytes.Repeat([]byte{byte(i)}, i%3000))); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
			d.CloseSend()
		})
		defer wg.Wait()
		for i := range 2000 {
			if got, err := d.Receive(); err != nil || !bytes.Equal(got.Value, bytes.Repeat([]byte{byte(i)}, i%3000)) {
				return fmt.Errorf("item %d: %d bytes, %w", i, len(got.GetValue()), err)
			}
		}
		_, err := d.Receive()
		return err
	})
	if err != io.EOF {
		t.Errorf("echo at once: %v", err)
	}
	// The service speaks first.
	err = rpc.Exchange(ctx, c, greets, func(d *rpc.Duplex[kit.Text, kit.Text]) error {
		first, err := d.Receive()
		if err != nil || first.Value != "who is there?" {
			t.Errorf("got %v, %v", first, err)
		}
		if err := d.Send(wrapperspb.String("Ann")); err != nil {
			return err
		}
		if got, err := d.Receive(); err != nil || got.Value != "hello, Ann" {
			t.Errorf("got %v, %v", got, err)
		}
		return nil // the call is stopped
	})
	if err != nil {
		t.Errorf("greets: %v", err)
	}
	gamelantest.Eventually(t, 5*time.Second, "the method of a call that was left to end", func() bool { return s.running.Load() == 0 })
	// An answer before the last request ends the sending.
	sent := 0
	got, err := rpc.Upload[kit.Number, kit.Number](ctx, c, early, func(yield func(*kit.Number, error) bool) {
		for yield(wrapperspb.UInt64(5), nil) {
			sent++
		}
	})
	if err != nil || got.Value != 5 {
		t.Errorf("early: got %v, %v after %d", got, err, sent)
	}
	// Errors of either side.
	for _, broken := range []error{errors.New("the disk is gone"), io.EOF} {
		got, err := rpc.Upload[kit.Number, kit.Number](ctx, c, sumAll, func(yield func(*kit.Number, error) bool) {
			if yield(wrapperspb.UInt64(1), nil) {
				yield(nil, broken)
			}
		})
		if err != broken {
			t.Errorf("got %v, %v, want the error of the requests", got, err)
		}
	}
	err = rpc.Exchange(ctx, c, refuses, func(d *rpc.Duplex[kit.Number, kit.Number]) error {
		for n := uint64(0); ; n++ {
			if err := d.Send(wrapperspb.UInt64(n)); err != nil && err != io.EOF {
				return err
			}
			if _, err := d.Receive(); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, rpc.Conflict) || !strings.Contains(err.Error(), "three is enough") {
		t.Errorf("got %v", err)
	}
	err = rpc.Exchange(ctx, c, echoAll, func(d *rpc.Duplex[kit.Number, kit.Blob]) error { // requests of another type
		if err := d.Send(wrapperspb.UInt64(3)); err != nil {
			return err
		}
		_, err := d.Receive()
		return err
	})
	if !errors.Is(err, rpc.BadRequest) || !errors.Is(err, rpc.ErrType) || strings.Count(err.Error(), "was sent a") != 1 {
		t.Errorf("got %v, want a request of another type", err)
	}
	// A method that takes one request.
	for n, want := range []error{rpc.BadRequest, nil, rpc.BadRequest} {
		got, err := rpc.Upload[kit.Number, kit.Number](ctx, c, one, func(yield func(*kit.Number, error) bool) {
			for range n {
				if !yield(wrapperspb.UInt64(4), nil) {
					return
				}
			}
			if n == 2 {
				time.Sleep(time.Second) // the answer to the first may be there
			}
		})
		if n < 2 && !errors.Is(err, want) || err == nil && got.Value != 4 {
			t.Errorf("%d requests for a method that takes one: got %v, %v", n, got, err)
		}
	}
	err = rpc.Exchange(ctx, c, sumAll, func(d *rpc.Duplex[kit.Number, kit.Number]) error {
		d.CloseSend()
		_, err := d.Receive()
		return err
	})
	if !errors.Is(err, rpc.ErrOneAnswer) {
		t.Errorf("items of a method with one answer: got %v", err)
	}
	err = rpc.Exchange(ctx, c, 99, func(d *rpc.Duplex[kit.Number, kit.Number]) error {
		d.Send(wrapperspb.UInt64(1))
		_, err := d.Receive()
		return err
	})
	if !errors.Is(err, rpc.UnsupportedMethod) {
		t.Errorf("a method that is not there: got %v", err)
	}
	// A method that reads nothing stops its caller, and nobody else; the end of ctx ends both.
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		n := 0
		_, err := rpc.Upload[kit.Blob, kit.Number](within, c, ignores, func(yield func(*kit.Blob, error) bool) {
			for yield(wrapperspb.Bytes(make([]byte, 1000)), nil) {
				n += 1000
			}
		})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < 9*time.Second || took > 11*time.Second || n > 1<<20 {
			t.Errorf("nobody reads: %v after %v, %d bytes sent", err, took, n)
		}
	})
	time.Sleep(time.Second)
	if _, err := rpc.Upload[kit.Number, kit.Number](ctx, c, sumAll, numbers(1, 2)); err != nil || time.Since(began) > 2*time.Second {
		t.Errorf("beside a method that reads nothing: %v after %v", err, time.Since(began))
	}
	wg.Wait()
	gamelantest.Eventually(t, 5*time.Second, "methods to end", func() bool { return s.running.Load() == 0 })
	// A channel that is used behind its call.
	var kept *rpc.Duplex[kit.Blob, kit.Blob]
	echo(func(d *rpc.Duplex[kit.Blob, kit.Blob]) error { kept = d; return nil })
	if err := kept.Send(&kit.Blob{}); err == nil {
		t.Error("a request behind the end of its call was sent")
	}
	if _, err := kept.Receive(); err == nil {
		t.Error("an item behind the end of its call")
	}
}

// TestExchangeWithOthers: a peer of another make, or of an older release, takes one request for a call.
func TestExchangeWithOthers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		s := new(taking)
		server, client := net.Start(gamelan.Config{}, gamelan.WithService(s.service())), net.Start(gamelan.Config{})
		net.Connect(client, server)
		kit.TakeFor(t, client, server, "tari/test")
		c := client.RPC().Client(server.ID(), streamsID)
		if _, err := rpc.Upload[kit.Number, kit.Number](t.Context(), c, sumAll, numbers(1)); !errors.Is(err, rpc.ErrOneRequest) {
			t.Errorf("got %v, want that the peer takes one request", err)
		}
		if got, err := rpc.Call[kit.Number, kit.Number](t.Context(), c, sumAll, wrapperspb.UInt64(9)); err != nil || got.Value != 9 {
			t.Errorf("one request: got %v, %v", got, err)
		}
		n := 0
		for _, err := range rpc.Items[kit.Blob, kit.Blob](t.Context(), c, echoAll, &kit.Blob{}) {
			if n++; err != nil {
				t.Error(err)
			}
		}
		if n != 1 {
			t.Errorf("got %d items for one request", n)
		}
	})
}

// TestExchangeEnds: what ends the connection, the service or the time ends a call with a stream of requests, on both sides.
func TestExchangeEnds(t *testing.T) {
	for name, end := range map[string]func(net *gamelantest.Network, server, client *gamelantest.Node){
		"connection": func(net *gamelantest.Network, server, client *gamelantest.Node) { net.Cut(client, server) },
		"service": func(_ *gamelantest.Network, server, _ *gamelantest.Node) {
			server.RPC().Unregister(context.Background(), streamsID)
		},
		"server": func(_ *gamelantest.Network, server, _ *gamelantest.Node) { server.Close(context.Background()) },
		"client": func(_ *gamelantest.Network, _, client *gamelantest.Node) { client.Close(context.Background()) },
		"ten minutes": func(*gamelantest.Network, *gamelantest.Node, *gamelantest.Node) {
			time.Sleep(10*time.Minute + time.Second)
		},
		"node ignores": func(_ *gamelantest.Network, server, client *gamelantest.Node) {
			client.Disconnect(context.Background(), server.ID())
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				s := new(taking)
				server, client := net.Start(gamelan.Config{}, gamelan.WithService(s.service())), net.Start(gamelan.Config{})
				net.Connect(client, server)
				c := client.RPC().Client(server.ID(), streamsID)
				var wg sync.WaitGroup
				for _, method := range []uint32{echoAll, ignores} {
					wg.Go(func() {
						err := rpc.Exchange(context.Background(), c, method, func(d *rpc.Duplex[kit.Blob, kit.Blob]) error {
							if method == ignores { // waits for credit
								for {
									if err := d.Send(wrapperspb.Bytes(make([]byte, 10_000))); err != nil {
										_, err = d.Receive()
										return err
									}
								}
							}
							d.Send(&kit.Blob{})
							d.Receive()
							_, err := d.Receive() // waits for an item
							return err
						})
						if err == nil || err == io.EOF {
							t.Errorf("method %d: got %v, want an error", method, err)
						}
					})
				}
				time.Sleep(10 * time.Second)
				if n := s.running.Load(); n != 2 {
					t.Fatalf("got %d methods", n)
				}
				end(net, server, client)
				wg.Wait()
				gamelantest.Eventually(t, 5*time.Second, "methods to end", func() bool { return s.running.Load() == 0 })
			})
		})
	}
}

// TestWatchedCalls: interceptors of both sides see the messages, and the method's name.
func TestWatchedCalls(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var mu sync.Mutex
		seen := map[string][]string{}
		watch := func(who string) rpc.Interceptor {
			return func(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
				note := func(what string) func(any) error {
					return func(m any) error {
						text := fmt.Sprintf("%s %s", what, fmt.Sprint(m))
						if v, ok := m.(interface{ GetValue() uint64 }); ok {
							text = fmt.Sprintf("%s %d", what, v.GetValue())
						}
						mu.Lock()
						defer mu.Unlock()
						seen[who] = append(seen[who], text)
						switch text {
						case "request 13":
							return rpc.Errorf(rpc.Forbidden, "not thirteen")
						case "request 14":
							return io.EOF
						}
						return nil
					}
				}
				mu.Lock()
				seen[who] = append(seen[who], fmt.Sprintf("%s %v %v", call.Name, call.Stream, call.Requests))
				mu.Unlock()
				call.Watch(rpc.Watcher{Request: note("request"), Answer: note("answer")})
				return next(ctx)
			}
		}
		service := new(taking).service()
		service.Interceptors = []rpc.Interceptor{watch("service")}
		server, client := net.Start(gamelan.Config{}, gamelan.WithService(service)), net.Start(gamelan.Config{})
		net.Connect(client, server)
		c := client.RPC().Client(server.ID(), streamsID, watch("client"))
		plain := client.RPC().Client(server.ID(), streamsID)
		check := func(want ...string) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			for _, who := range []string{"client", "service"} {
				if !slices.Equal(seen[who], want) {
					t.Errorf("%s: got %q, want %q", who, seen[who], want)
				}
			}
			clear(seen)
		}
		if _, err := rpc.Upload[kit.Number, kit.Number](t.Context(), c, sumAll, numbers(1, 2), rpc.Name("Sum")); err != nil {
			t.Error(err)
		}
		check("Sum false true", "request 1", "request 2", "answer 3")
		if _, err := rpc.Call[kit.Number, kit.Number](t.Context(), c, one, wrapperspb.UInt64(4)); err != nil {
			t.Error(err)
		}
		check(" false false", "request 4", "answer 4")
		for range rpc.Items[kit.Number, kit.Number](t.Context(), c, list, wrapperspb.UInt64(2)) {
		}
		check(" true false", "request 2", "answer 0", "answer 1")
		// The client does not send what its watcher refuses. The method does not get what a watcher of the service refuses.
		if _, err := rpc.Call[kit.Number, kit.Number](t.Context(), c, one, wrapperspb.UInt64(13)); !errors.Is(err, rpc.Forbidden) {
			t.Errorf("got %v", err)
		}
		if mu.Lock(); len(seen["service"]) != 0 {
			t.Errorf("the service has seen %q", seen["service"])
		}
		mu.Unlock()
		if _, err := rpc.Upload[kit.Number, kit.Number](t.Context(), plain, sumAll, numbers(1, 13, 5)); !errors.Is(err, rpc.Forbidden) || !strings.Contains(err.Error(), "not thirteen") {
			t.Errorf("got %v", err)
		}
		// An error of theirs is not the end of the requests.
		for name, c := range map[string]*rpc.Client{"client": c, "service": plain} {
			if got, err := rpc.Upload[kit.Number, kit.Number](t.Context(), c, sumAll, numbers(1, 14, 5)); err == nil {
				t.Errorf("%s: got %v of an upload whose second request was refused", name, got)
			}
		}
	})
}

// TestJoinedServices: several services have one protocol id, each with its encoding and its policy.
func TestJoinedServices(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		type order struct{ N int }
		orders := rpc.Service{Encoding: rpc.JSON, Methods: []rpc.Method{rpc.Unary(20, func(_ context.Context, o *order) (*order, error) { return &order{o.N + 1}, nil })}}
		closed := rpc.Service{Allow: rpc.AllowPeers(identity.NodeID{}), Methods: []rpc.Method{rpc.UnaryBytes(30, func(context.Context, []byte) ([]byte, error) { return nil, nil })}}
		all := rpc.Join("test/joined/1", new(taking).service(), orders, closed)
		server, client := net.Start(gamelan.Config{}, gamelan.WithService(all)), net.Start(gamelan.Config{})
		net.Connect(client, server)
		if got, err := rpc.Upload[kit.Number, kit.Number](t.Context(), client.RPC().Client(server.ID(), "test/joined/1"), sumAll, numbers(1, 2)); err != nil || got.Value != 3 {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := rpc.Call[order, order](t.Context(), client.RPC().Client(server.ID(), "test/joined/1", rpc.JSON), 20, &order{4}); err != nil || got.N != 5 {
			t.Errorf("got %v, %v", got, err)
		}
		if _, err := rpc.CallBytes(t.Context(), client.RPC().Client(server.ID(), "test/joined/1"), 30, nil); !errors.Is(err, rpc.Forbidden) {
			t.Errorf("got %v", err)
		}
		if err := rpc.Join("test/joined/1", orders, orders).Validate(); !errors.Is(err, rpc.ErrBadService) || !strings.Contains(err.Error(), "two methods have number 20") {
			t.Errorf("got %v", err)
		}
		orders.AllowMethod = map[uint32]rpc.Policy{99: rpc.AllowAll}
		if err := rpc.Join("test/joined/1", closed, orders).Validate(); !errors.Is(err, rpc.ErrBadService) || !strings.Contains(err.Error(), "method 99") {
			t.Errorf("got %v", err)
		}
	})
}
