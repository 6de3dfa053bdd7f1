package product

import (
	"context"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
)

// floods has eleven identities send small messages without signatures, each
// another one, as fast as they are read. Who is banned comes again as another
// identity, from loopback, which is never refused as a source. A stroke is a
// message.
func floods() attack {
	const identities = 11
	return attack{
		name: "floods-11-identities", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			return func(ctx context.Context, count *atomic.Uint64) error {
				var who atomic.Uint64
				return atATime(identities, func() error {
					nonce := who.Add(1) << 48
					return again(ctx, seed, func(w *writer) error { return w.batch(empties(&nonce), count) })
				})
			}, nil
		},
		stage: func(_ context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) { m.Report("messages judged", float64(ended(n, dht.NoHandler))) }, nil
		},
	}
}
