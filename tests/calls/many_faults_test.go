package calls

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestCallsThatDoNotBegin: a call that fails before it begins takes no place.
func TestCallsThatDoNotBegin(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{}, gamelan.Config{})
		p.MustGreet(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 * manycalls.MaxCalls {
			if _, err := p.Greet(ended, "x"); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if _, err := rpc.CallBytes(t.Context(), p.Calls, kit.Echo, make([]byte, 4<<20)); err == nil {
			t.Error("a request of 4 MiB was sent")
		}
		far, cancel := context.WithDeadline(t.Context(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		defer cancel()
		if _, err := p.Greet(far, "far"); err != nil {
			t.Errorf("got %v with a deadline far away", err)
		}
		p.MustGreet(t)
		p.Idle(t)
	})
}

// TestSlowBesideQuick: a method that is slow for the first time holds up those that are quick for a moment, and no longer.
func TestSlowBesideQuick(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var slow bool
		net := gamelantest.NewNetwork(t)
		server := net.Start(gamelan.Config{}, gamelan.WithService(rpc.Service{Protocol: kit.TestService, Methods: []rpc.Method{
			rpc.UnaryBytes(1, func(_ context.Context, b []byte) ([]byte, error) {
				if len(b) > 0 && slow {
					time.Sleep(30 * time.Second)
				}
				return b, nil
			}),
		}}))
		client := net.Start(gamelan.Config{})
		net.Connect(client, server)
		c := client.RPC().Client(server.ID(), kit.TestService)
		call := func(b string) {
			if _, err := rpc.CallBytes(t.Context(), c, 1, []byte(b)); err != nil {
				t.Error(err)
			}
		}
		for range 30 { // it is quick
			call("x")
		}
		slow = true
		var wg sync.WaitGroup
		wg.Go(func() { call("x") })
		time.Sleep(time.Millisecond)
		began := time.Now()
		for range 20 {
			call("")
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("20 quick calls beside a slow one took %v", took)
		}
		wg.Wait()
	})
}

// manyServer plays a server of a session that carries many calls.
func manyServer(t *testing.T, play func(w kit.RawSession)) *kit.Pair {
	p, streams := serveByHand(t, gamelan.Config{})
	go func() {
		w := kit.RawSession{T: t, Stream: <-streams}
		w.ExpectHello()
		w.Send("00000002 0801")
		play(w)
	}()
	return p
}

// TestManyBadServers: a server that breaks the rules loses the session, or the call alone, and the caller gets an error.
//
// conforms: V 37
func TestManyBadServers(t *testing.T) {
	message := func(call uint64, length uint64, n int) manycalls.Frame {
		return manycalls.Frame{Call: call, Kind: manycalls.Message, Length: length, Payload: make([]byte, n)}
	}
	for name, x := range map[string]struct {
		send []manycalls.Frame
		want error
	}{
		"an answer of a GiB, and parts of it":  {[]manycalls.Frame{message(1, 1<<30, 10), message(1, 0, 10), message(1, 0, 10)}, frame.ErrTooLong},
		"an answer to no call":                 {[]manycalls.Frame{message(9, 0, 10)}, rpc.ErrProtocol},
		"an end without an answer":             {[]manycalls.Frame{{Call: 1, Kind: manycalls.Done}}, rpc.ErrProtocol},
		"a status that is too large":           {[]manycalls.Frame{{Call: 1, Kind: manycalls.Done, Number: 1 << 32}}, rpc.ErrProtocol},
		"more than the credit":                 {[]manycalls.Frame{message(1, 0, 10_000)}, rpc.ErrProtocol},
		"a call of the server's":               {[]manycalls.Frame{{Call: 2, Kind: manycalls.Open}}, rpc.ErrProtocol},
		"an error":                             {[]manycalls.Frame{{Call: 1, Kind: manycalls.Done, Number: 7, Payload: []byte("no gong")}}, rpc.NotFound},
		"an error of a call that was not run":  {[]manycalls.Frame{{Call: 1, Kind: manycalls.Done, Number: 65, Last: true}}, rpc.ErrNotRun},
		"two answers":                          {[]manycalls.Frame{message(1, 0, 10), message(1, 0, 10)}, nil},
		"a leave of a call that it runs":       {[]manycalls.Frame{{Kind: manycalls.Leave, Number: 1}, {Call: 1, Kind: manycalls.Done, Number: 7}}, rpc.NotFound},
		"credit without end":                   {[]manycalls.Frame{{Call: 1, Kind: manycalls.Credit, Number: 1 << 40}}, rpc.ErrProtocol},
		"an answer in parts that do not end":   {[]manycalls.Frame{message(1, 1000, 10)}, rpc.Timeout},
		"nothing but credit for all that is 0": {[]manycalls.Frame{{Kind: manycalls.Credit}, {Kind: manycalls.Credit}}, rpc.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				over := make(chan struct{})
				p := manyServer(t, func(w kit.RawSession) {
					w.Request() // an Open
					sendFrames(w, x.send...)
					<-over
					w.Close()
				})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, err := rpc.CallBytes(ctx, p.Calls, 1, []byte("x")); !errors.Is(err, x.want) {
					t.Errorf("got %v, want %v", err, x.want)
				}
				close(over)
				time.Sleep(time.Second)
				p.Idle(t)
			})
		})
	}
}

// TestNotMadeTwice: calls that a server may have run are not made again when their session ends, whenever it does.
func TestNotMadeTwice(t *testing.T) {
	for pause := range 12 {
		gamelantest.Bubble(t, func(t *testing.T) {
			p, streams := serveByHand(t, gamelan.Config{})
			seen := make(map[string]int)
			over, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case s := <-streams:
						w := kit.RawSession{T: t, Stream: s}
						w.ExpectHello()
						w.Send("00000002 0801")
						r := frame.NewReader(s, manycalls.MaxFrame)
						for range 10 + 3*pause {
							n, err := r.Next()
							if err != nil {
								break
							}
							body := make([]byte, n)
							if err := r.Body(body); err != nil {
								break
							}
							f, err := manycalls.Decode(body)
							if err != nil {
								t.Error(err)
							}
							seen[string(f.Payload)]++
						}
						w.Close()
					case <-over:
						return
					}
				}
			}()
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					rpc.CallBytes(ctx, p.Calls, 1, fmt.Append(nil, i))
				})
			}
			wg.Wait()
			close(over)
			<-done
			for call, n := range seen {
				if n > 1 && call != "" {
					t.Errorf("call %s was made %d times", call, n)
				}
			}
		})
	}
}

// TestPlacesAreGivenBack: a service that is withdrawn in the middle of calls leaves none of their places taken.
func TestPlacesAreGivenBack(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{RPC: gamelan.RPCConfig{MaxPeerCalls: 30}}, gamelan.Config{})
		for range 20 {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					rpc.Call[kit.Number, kit.Text](ctx, p.Calls, kit.Wait, wrapperspb.UInt64(60_000))
				})
			}
			runtime.Gosched()
			if err := p.Server.RPC().Unregister(t.Context(), kit.TestService); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			if err := p.Server.RPC().Register(t.Context(), p.Service.Service()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				if _, err := rpc.Call[kit.Number, kit.Text](t.Context(), p.Calls, kit.Wait, wrapperspb.UInt64(100)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		p.Idle(t)
	})
}

// TestHalfRequestAtTheEnd: a request that is not complete does not hold up the end of a node beyond its deadline.
func TestHalfRequestAtTheEnd(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := newByHand(t, gamelan.Config{})
		w := h.many()
		sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Open, Number: kit.Echo, Deadline: 2000, Length: 100})
		time.Sleep(time.Second)
		began := time.Now()
		h.Server.Close(t.Context())
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the node took %v to close", took)
		}
		w.Close()
	})
}

// TestManyAtOnce: a client that sends many quick calls in one write gets their answers at once, however large they are together.
//
// conforms: V 37
func TestManyAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := newByHand(t, gamelan.Config{})
		w := h.many()
		const calls, size = 200, 60_000
		open := func(id uint64, b ...byte) manycalls.Frame {
			return manycalls.Frame{Call: id, Kind: manycalls.Open, Number: kit.Sized, Deadline: 600_000, Window: manycalls.MaxCredit - manycalls.First, Last: true, Payload: b}
		}
		sendFrames(w, open(1))
		time.Sleep(time.Second) // the session's actor has looked at it
		var opens []manycalls.Frame
		for id := range uint64(calls) {
			opens = append(opens, open(id+2, 8, 0xe0, 0xd4, 0x03)) // of size
		}
		began := time.Now()
		sendFrames(w, opens...)
		r := frame.NewReader(w, manycalls.MaxFrame)
		for got := 0; got < calls*size; {
			n, err := r.Next()
			if err == nil {
				got += n
				err = r.Body(make([]byte, n))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("got the answers after %v", took)
		}
		w.Close()
	})
}

// TestMemoryOfBadClients: neither requests that are announced and do not come, nor answers and pongs that nobody reads, take memory.
//
// conforms: V 37, 39
func TestMemoryOfBadClients(t *testing.T) {
	for name, f := range map[string]func(w kit.RawSession){
		"announced": func(w kit.RawSession) {
			for id := range uint64(1000) {
				sendFrames(w, manycalls.Frame{Call: id + 1, Kind: manycalls.Open, Number: kit.Echo, Deadline: 600_000, Length: 266_240})
			}
		},
		"requests that no method reads": func(w kit.RawSession) {
			for id := range uint64(1000) {
				frames := []manycalls.Frame{{Call: id + 1, Kind: manycalls.Open, Number: kit.Ignore, Deadline: 600_000, Bare: true}}
				for range (manycalls.First-1)/(manycalls.Overhead+1) + 1 {
					frames = append(frames, manycalls.Frame{Call: id + 1, Kind: manycalls.Message, Payload: []byte{0}})
				}
				sendFrames(w, frames...)
			}
		},
		"a stream of requests that no method reads": func(w kit.RawSession) {
			sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Open, Number: kit.Ignore, Deadline: 600_000, Bare: true})
			time.Sleep(time.Second) // its window is there
			for range (256<<10 + manycalls.First - 1) / (manycalls.Overhead + 1) {
				sendFrames(w, manycalls.Frame{Call: 1, Kind: manycalls.Message, Payload: []byte{0}})
			}
		},
		"small requests in buffers of large ones": func(w kit.RawSession) {
			for id := range uint64(1000) {
				sendFrames(w,
					manycalls.Frame{Call: 2*id + 1, Kind: manycalls.Open, Number: 99, Deadline: 600_000, Last: true, Shared: 56 << 10, Payload: make([]byte, 60<<10)},
					manycalls.Frame{Call: 2*id + 2, Kind: manycalls.Open, Number: kit.Wait, Deadline: 600_000, Last: true, Payload: []byte{8, 0xff, 0xff, 0x7f}})
				time.Sleep(time.Millisecond)
			}
		},
		"items not read": func(w kit.RawSession) {
			for id := range uint64(200) {
				sendFrames(w, manycalls.Frame{Call: id + 1, Kind: manycalls.Open, Number: kit.Endless, Deadline: 600_000, Window: manycalls.MaxCredit - manycalls.First, Last: true, Payload: []byte{8, 0x80, 0x08}})
			}
			time.Sleep(time.Second)
		},
		"not read": func(w kit.RawSession) {
			for id := range uint64(100_000) {
				w.SetWriteDeadline(time.Now().Add(time.Second))
				b := manycalls.Append(nil, &manycalls.Frame{Kind: manycalls.Ping, Number: id + 1})
				b = manycalls.Append(b, &manycalls.Frame{Call: id + 1, Kind: manycalls.Open, Number: kit.Sized, Deadline: 1000, Last: true, Payload: []byte{8, 0xa0, 0x1f}})
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				h := newByHand(t, gamelan.Config{})
				h.MustGreet(t)
				w := h.many()
				before := heap()
				f(w)
				if after := heap(); after > before+32<<20 {
					t.Errorf("got %d MB more", (after-before)>>20)
				}
				h.MustGreet(t)
				time.Sleep(5 * time.Minute)
				if text := treeText(t, h.Server); strings.Contains(text, "2 sessions") && strings.HasSuffix(name, "not read") {
					t.Errorf("got\n%s\nwant no session that nobody reads", text)
				}
				w.Close()
			})
		})
	}
}

// TestMemoryOfBadServers: requests that a server does not read take no memory, whatever credit it gives, and their calls end in time.
//
// conforms: V 37, 39
func TestMemoryOfBadServers(t *testing.T) {
	const calls = 200
	for name, x := range map[string]struct {
		reads int // calls that the server reads before it stops
		play  func(ctx context.Context, p *kit.Pair)
	}{
		"streams": {calls, func(ctx context.Context, p *kit.Pair) {
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() {
					_ = rpc.Exchange(ctx, p.Calls, kit.Ignore, func(d *rpc.Duplex[kit.Blob, kit.Text]) error {
						for {
							if err := d.Send(wrapperspb.Bytes(make([]byte, 1<<10))); err != nil {
								return err
							}
						}
					})
				})
			}
			wg.Wait()
		}},
		"calls that are given up": {1, func(ctx context.Context, p *kit.Pair) {
			for ctx.Err() == nil {
				var wg sync.WaitGroup
				for range calls {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
						defer cancel()
						rpc.Call[kit.Blob, kit.Blob](ctx, p.Calls, kit.Echo, wrapperspb.Bytes(make([]byte, 4000)))
					})
				}
				wg.Wait()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				over := make(chan struct{})
				p := manyServer(t, func(w kit.RawSession) {
					for opens := 0; opens < x.reads; {
						f, err := manycalls.Decode(w.Frame())
						if err != nil {
							t.Error(err)
						}
						if f.Kind == manycalls.Open {
							opens++
							sendFrames(w, manycalls.Frame{Call: f.Call, Kind: manycalls.Credit, Number: manycalls.MaxCredit - manycalls.First})
						}
					}
					<-over
					w.Close()
				})
				before := heap()
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				time.AfterFunc(10*time.Second, func() {
					if after := heap(); after > before+32<<20 {
						t.Errorf("got %d MB more", (after-before)>>20)
					}
				})
				x.play(ctx, p)
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("the calls ended after %v", took)
				}
				close(over)
				p.Idle(t)
			})
		})
	}
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
