package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// idleIdentities holds all places for inbound connections, from loopback, with
// identities that do nothing. The clocks start when they have been idle for 31 s:
// before 30 s nobody makes room. What loses its place comes again as another
// identity. A stroke is an identity that had a place.
func idleIdentities() attack {
	return inAllPlaces("idle-identities", func(seed string, _ int) (*mux.Session, error) { return sessionNew(seed) })
}

// usefulIdentities is idleIdentities with a plain message of each identity, by which it counts as
// a user. They come from 16 addresses of the internet, with as many from each as may.
func usefulIdentities() attack {
	const sources = 16
	a := inAllPlaces("useful-identities", func(seed string, i int) (*mux.Session, error) {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return nil, err
		}
		cfg, err := setUp(secret, identity.FeatureNode, nowhere)
		if err != nil {
			return nil, err
		}
		s, err := dialAs(seed, fmt.Sprintf("127.7.%d.1", i%sources), cfg)
		if err != nil {
			return nil, err
		}
		w, err := writerOf(s, protocol.PlainID)
		if err != nil {
			return nil, err
		}
		if err := w.batch([]entry{{Body: payload(1)}}, new(atomic.Uint64)); err != nil {
			return nil, errors.Join(err, w.session.Close())
		}
		return s, nil
	})
	a.placed = true
	return a
}

func inAllPlaces(name string, enter func(seed string, place int) (*mux.Session, error)) attack {
	const places, atATime = 500, 8
	return attack{
		name: name, rest: 31 * time.Second,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			var held [places]*mux.Session // nil: all places were taken
			var wg sync.WaitGroup
			for first := range atATime {
				wg.Go(func() {
					for i := first; i < places; i += atATime {
						if s, err := enter(seed, i); err == nil {
							held[i] = s
						}
					}
				})
			}
			wg.Wait()
			return func(ctx context.Context, count *atomic.Uint64) error {
				var wg sync.WaitGroup
				for i, s := range held {
					wg.Go(func() {
						if s != nil {
							count.Add(1) // it holds a place
							untilEnd(s)
						}
						for ctx.Err() == nil {
							if s, err := enter(seed, i); err == nil {
								count.Add(1)
								untilEnd(s)
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

// untilEnd waits for the end of a session whose substreams nobody wants.
func untilEnd(s *mux.Session) {
	for {
		if _, err := s.Accept(); err != nil {
			return
		}
	}
}
