package messaging_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
)

// BenchmarkOutbox is the machine's share of one message, from Queued to its
// outcome, with so many messages in a batch.
func BenchmarkOutbox(b *testing.B) {
	for _, batch := range []int{1, 16, 1024, 4000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			box := opened(messaging.Options{})
			body := make([]byte, 32)
			now := start
			id := uint64(1)
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				now = now.Add(100 * time.Microsecond)
				for range batch {
					id++
					box.Queued(now, messaging.Entry[int]{ID: id, Body: body})
				}
				f := box.Wrote(now, 0, nil, false)
				for len(f.Write) > 0 {
					f = box.Wrote(now, 0, nil, false)
				}
				f = box.Proven(now, f.Prove)
				if len(f.Settled) != batch {
					b.Fatalf("got %d settled, want %d", len(f.Settled), batch)
				}
				clear(f.Settled)
			}
		})
	}
}

// BenchmarkWithdrawn takes the oldest of 4,000 waiting messages out, and puts
// another in.
func BenchmarkWithdrawn(b *testing.B) {
	box := messaging.NewOutbox[int](messaging.Options{})
	for id := range uint64(4000) {
		box.Queued(start, messaging.Entry[int]{ID: id})
	}
	b.ReportAllocs()
	for i := range uint64(b.N) {
		box.Withdrawn(start, i)
		box.Queued(start, messaging.Entry[int]{ID: i + 4000})
	}
}

// BenchmarkWriteFrames is without the substream below.
func BenchmarkWriteFrames(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 64 << 10, 8 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			list := make([]messaging.Entry[int], max(1, 64<<10/size))
			for i := range list {
				list[i].Body = make([]byte, size)
			}
			b.SetBytes(int64(len(list) * size))
			b.ReportAllocs()
			for range b.N {
				messaging.WriteFrames(io.Discard, list)
			}
		})
	}
}
