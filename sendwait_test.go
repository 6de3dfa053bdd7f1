package gamelan_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

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
		synctest.Wait()
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range cap(outs) {
			<-outs // or the bubble finds a deadlock
		}
	})
}
