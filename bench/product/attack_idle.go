package product

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/transport/mux"
)

// idleIdentities holds all places for inbound connections, from loopback, with
// identities that do nothing. The clocks start when they have been idle for 31 s:
// before 30 s nobody makes room. What loses its place comes again as another
// identity. A stroke is an identity that had a place.
func idleIdentities() attack {
	const places, atATime = 500, 8
	return attack{
		name: "idle-identities", rest: 31 * time.Second,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			var mu sync.Mutex
			var held []*mux.Session
			var wg sync.WaitGroup
			for range atATime {
				wg.Go(func() {
					for range places / atATime {
						s, err := sessionNew(seed)
						if err != nil {
							continue // all places are taken
						}
						mu.Lock()
						held = append(held, s)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			return func(ctx context.Context, count *atomic.Uint64) error {
				var wg sync.WaitGroup
				for i := range places {
					wg.Go(func() {
						if i < len(held) {
							<-held[i].Done()
						}
						for ctx.Err() == nil {
							if s, err := sessionNew(seed); err == nil {
								count.Add(1)
								<-s.Done()
							}
							pause(ctx, time.Second)
						}
					})
				}
				wg.Wait()
				return nil
			}, nil
		},
	}
}
