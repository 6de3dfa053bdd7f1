package gamelan_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOutcomesAreTheirOwnMessages has many goroutines send to a peer that takes messages and
// to one that cannot be dialled, some with a context that ends at any moment, until the node
// closes. None gets the outcome of another message: calls of Send share what they wait with.
func TestOutcomesAreTheirOwnMessages(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Introduce(a, b)
		nobody := net.Start(gamelan.Config{}).ID() // a knows no address of it
		body := []byte("hello")
		var mu sync.Mutex
		got := make(map[protocol.OutcomeKind]int)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for range 200 {
					ctx, cancel := context.WithCancel(t.Context())
					if rand.IntN(4) == 0 {
						go cancel()
					}
					to := b.ID()
					if rand.IntN(2) == 0 {
						to = nobody
					}
					out, err := a.Send(ctx, to, body)
					ended := ctx.Err() != nil
					cancel()
					if err != nil {
						if !ended {
							t.Errorf("got error %v", err)
						}
						continue
					}
					mu.Lock()
					got[out.Kind]++
					mu.Unlock()
					switch {
					case to == nobody && out.Kind != protocol.Failed:
						t.Errorf("to a peer without an address: got %v, want failed", out)
					case to == b.ID() && !ended && out.Kind != protocol.Confirmed:
						t.Errorf("to a connected peer: got %v, want confirmed", out)
					}
				}
			})
		}
		wg.Wait()
		if got[protocol.Confirmed] == 0 || got[protocol.Failed] == 0 {
			t.Errorf("got outcomes %v, want confirmed and failed ones", got)
		}
	})
}

// TestSendsOfOneContext has hundreds of callers wait with two contexts for a peer that is behind
// a partition. The end of a context settles the messages of its callers, at once and no others.
func TestSendsOfOneContext(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		for _, written := range []bool{false, true} {
			a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
			want := protocol.Failed
			if written {
				want = protocol.InDoubt
				net.Connect(a, b)
				out, err := a.Send(t.Context(), b.ID(), nil) // the substream is open
				wantOutcome(t, "first", out, err, protocol.Confirmed, protocol.ReasonNone)
			} else {
				net.Introduce(a, b)
			}
			net.Partition(a, b)
			var ended [2]atomic.Int64
			var ends [2]func()
			for i := range ends {
				ctx, end := context.WithCancel(t.Context())
				ends[i] = end
				for range 300 {
					go func() {
						out, err := a.Send(ctx, b.ID(), []byte("hello"))
						wantOutcome(t, "send", out, err, want, protocol.Expired)
						ended[i].Add(1)
					}()
				}
				synctest.Wait()
			}
			for i, want := range [2][2]int64{{300, 0}, {300, 300}} {
				ends[i]()
				synctest.Wait()
				if got := [2]int64{ended[0].Load(), ended[1].Load()}; got != want {
					t.Errorf("written %v, %d contexts have ended: got outcomes of %d calls, want %d", written, i+1, got, want)
				}
			}
		}
	})
}

// TestSendsWithContextsOfTheirOwn leave nothing behind.
func TestSendsWithContextsOfTheirOwn(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Connect(a, b)
		send := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			t.Cleanup(cancel)
			out, err := a.Send(ctx, b.ID(), nil)
			wantOutcome(t, "send", out, err, protocol.Confirmed, protocol.ReasonNone)
		}
		send()
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 1000 {
			send()
		}
		synctest.Wait()
		if got := runtime.NumGoroutine(); got > before+100 { // those of the nodes come and go
			t.Errorf("got %d goroutines, want about %d as before", got, before)
		}
	})
}

// TestSendsEndWithTheNode: callers that wait for outcomes return when the node has ended.
func TestSendsEndWithTheNode(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}) // b handles nothing
		net.Introduce(a, b)
		outs := make(chan gamelan.Outcome, 64)
		for range cap(outs) {
			go func() {
				out, err := a.Send(context.Background(), b.ID(), make([]byte, 10_000))
				if err != nil {
					out = gamelan.Outcome{Kind: protocol.Failed, Err: err}
				}
				outs <- out
			}()
		}
		lost := make(chan gamelan.Outcome, 1)
		go func() { lost <- gamelan.SendLost(t.Context(), a.Node) }()
		synctest.Wait()
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, "never settled", <-lost, nil, protocol.InDoubt, protocol.Closed)
		for range cap(outs) {
			<-outs // or the bubble finds a deadlock
		}
	})
}
