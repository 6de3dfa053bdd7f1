package product

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
)

// newcomersSpeak sends one message over the DHT, which nobody takes, from each of ever new
// identities, four at a time. A stroke is an identity.
func newcomersSpeak() attack {
	const together = 4
	return attack{
		name: "newcomers-speak", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			var nonce atomic.Uint64
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(together, func() error {
					return repeat(ctx, func() error {
						w, err := dialNew(seed)
						if err != nil {
							return err
						}
						defer w.session.Close()
						n := nonce.Add(atOnce)
						return errors.Join(w.batch(empties(&n)[:1], count), w.hasRead())
					})
				})
			}, nil
		},
		stage: func(_ context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) { m.Report("messages judged", float64(ended(n, dht.NoHandler))) }, nil
		},
	}
}

// floods has eleven identities send small messages without signatures, each
// another one, as fast as they are read, until they are banned. A stroke is a
// message.
func floods() attack {
	const identities = 11
	return attack{
		name: "floods-11-identities", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			return func(ctx context.Context, count *atomic.Uint64) error {
				var who atomic.Uint64
				return atATime(identities, func() error {
					w, err := dialNew(seed)
					if err != nil {
						return err
					}
					for nonce := who.Add(1) << 48; ctx.Err() == nil && w.batch(empties(&nonce), count) == nil; {
					}
					return nil
				})
			}, nil
		},
		stage: func(_ context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) { m.Report("messages judged", float64(ended(n, dht.NoHandler))) }, nil
		},
	}
}
