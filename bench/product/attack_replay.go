package product

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
)

// entry is a message that an attacker writes.
type entry = messaging.Entry[struct{}]

// atOnce is how many small messages an attacker writes together.
const atOnce = 256

// heard has a node deliver messages of benchType, and reports how many it has
// delivered.
func (a attack) heard() attack {
	var delivered atomic.Uint64
	a.options = append(a.options, gamelan.WithType(benchType, func(*gamelan.Node) actor.Actor {
		return receive(func(c actor.Context) {
			if _, ok := c.Message().(dht.Received); ok {
				delivered.Add(1)
			}
		})
	}))
	a.stage = func(context.Context, *gamelan.Node) (func(*harness.Meter), error) {
		delivered.Store(0)
		return func(m *harness.Meter) { m.Report("deliveries", float64(delivered.Load())) }, nil
	}
	return a
}

// captures are n signed messages, each of another author.
func captures(n int) (all []wire.Envelope, err error) {
	for range n {
		author, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return nil, err
		}
		e, err := wire.Compose(wire.Draft{
			Sign: true, Expires: uint64(time.Now().Add(time.Hour).Unix()),
			Body: wire.AppendBody(nil, wire.DomainHeader{Type: benchType}.Append(nil), payload(32)),
		}, author, rand.Reader)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// replayByReencoding sends one captured message again and again, each time with
// another unknown field behind its signature, 900 a second: more would be a flood.
// A stroke is a message; one delivery is right.
func replayByReencoding() attack {
	const together, every = 9, 10 * time.Millisecond
	return attack{
		name: "replay-reencoded", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			captured, err := captures(1)
			if err != nil {
				return nil, err
			}
			signature := captured[0].Header.Signature
			var copies uint64
			return func(ctx context.Context, count *atomic.Uint64) error {
				return again(ctx, seed, func(w *writer) error {
					var batch [together]entry
					for i := range batch {
						e := captured[0]
						e.Header.Signature = protowire.AppendVarint(protowire.AppendTag(bytes.Clone(signature), 4, protowire.VarintType), copies)
						batch[i].Body = e.Append(nil)
						copies++
					}
					pause(ctx, every)
					return w.batch(batch[:], count)
				})
			}, nil
		},
	}.heard()
}

// replayByFlushing sends 60 captured messages, then 56,000 empty ones of another
// identity, which are more than a node has records for and no flood yet, and begins
// anew with the captured ones three seconds later. A stroke is a message; 60
// deliveries are right.
func replayByFlushing() attack {
	const letterCount, flood, every = 60, 56_000, 3 * time.Second
	return attack{
		name: "replay-flushed", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			all, err := captures(letterCount)
			if err != nil {
				return nil, err
			}
			captured := make([]entry, len(all))
			for i, e := range all {
				captured[i].Body = e.Append(nil)
			}
			var nonce uint64
			return func(ctx context.Context, count *atomic.Uint64) error {
				return again(ctx, seed, func(w *writer) error {
					if err := w.batch(captured, count); err != nil {
						return err
					}
					flooder, err := dialNew(seed)
					if err != nil {
						return err
					}
					// What is in its windows is read before the connection ends.
					defer time.AfterFunc(time.Second, func() { flooder.session.Close() })
					for end := nonce + flood; nonce < end; {
						if err := flooder.batch(empties(&nonce), count); err != nil {
							return err
						}
					}
					pause(ctx, every)
					return nil
				})
			}, nil
		},
	}.heard()
}

// empties are messages without content, each with the next number.
func empties(nonce *uint64) []entry {
	batch := make([]entry, atOnce)
	for i := range batch {
		*nonce++
		e := wire.Envelope{
			Header: wire.Header{Version: wire.Version}, Body: wire.AppendBody(nil, wire.DomainHeader{Type: benchType + 1, Nonce: *nonce}.Append(nil), nil),
		}
		batch[i].Body = e.Append(nil)
	}
	return batch
}
