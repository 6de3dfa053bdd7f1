package messages

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// distance is a link of 100 ms there and back that carries all that is sent.
var distance = memory.Link{Latency: 50 * time.Millisecond, Buffer: 8 << 20}

// TestBubbleMessagesAtADistance: a sender that waits for nothing but its credit of 1 MiB sends
// three quarters of it in each round trip or more, and hears of each message little more than
// a round trip after it was sent.
func TestBubbleMessagesAtADistance(t *testing.T) {
	const trips = 30
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			net.SetLink(distance)
			from := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
			to := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(gamelantest.NewCollector().New))
			net.Connect(from, to)
			kit.Enqueue(t, from, to, "the first is confirmed later than the others").Wait(t.Context())
			ctx, cancel := context.WithTimeout(t.Context(), trips*100*time.Millisecond)
			defer cancel()
			var confirmed, waited atomic.Int64
			for {
				began := time.Now()
				p, err := from.Submit(ctx, to.ID(), make([]byte, size))
				if err != nil {
					break // ctx has ended
				}
				go func() {
					if err := p.Wait(t.Context()).AsError(); err != nil {
						t.Error(err)
					}
					confirmed.Add(1)
					waited.Add(int64(time.Since(began)))
				}()
			}
			time.Sleep(time.Second)
			n := confirmed.Load()
			cost := int64(size + 256)
			if n*cost < trips*3/4<<20 {
				t.Errorf("%d bytes: got %d messages in %d round trips, want %d or more", size, n, trips, int64(trips*3/4<<20)/cost)
			}
			if mean := time.Duration(waited.Load() / n); mean > 135*time.Millisecond {
				t.Errorf("%d bytes: got an outcome after %v on average, want a round trip and at most a third", size, mean)
			}
		})
	}
}
