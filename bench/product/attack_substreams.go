package product

import (
	"context"
	"encoding/binary"
	"sync/atomic"
)

// Frames of the multiplexer (spec: comms 5.2).
const (
	frameHeader = 12
	flagSYN     = 1
	flagRST     = 8
)

// substreamChurn opens substreams and resets them on one connection, as fast as
// they are read, and comes again as another identity when it was ended. A stroke
// is a substream that was written, read or not.
func substreamChurn() attack {
	return attack{
		name: "substream-churn",
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			return func(ctx context.Context, count *atomic.Uint64) error {
				return repeat(ctx, func() error {
					c, _, err := enter(ctx, seed, "127.0.0.1")
					if err != nil {
						return err
					}
					defer c.Close()
					go hungUp(c)
					for id := uint32(1); ctx.Err() == nil; id += 2 * atOnce {
						if _, err := c.Write(openedAndReset(id)); err != nil {
							return nil
						}
						count.Add(atOnce)
					}
					return nil
				})
			}, nil
		},
	}
}

// churnOfNewcomers opens substreams and resets them as ever new identities from
// loopback, each of which hangs up after 256 of them instead of waiting until they are
// read, and comes again, four at a time. A stroke is a connection.
func churnOfNewcomers() attack {
	const together = 4
	return attack{
		name: "newcomers-churn",
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(together, func() error {
					return repeat(ctx, func() error {
						c, _, err := enter(ctx, seed, "127.0.0.1")
						if err != nil {
							return err
						}
						defer c.Close()
						if _, err := c.Write(openedAndReset(1)); err != nil {
							return err
						}
						count.Add(1)
						return nil
					})
				})
			}, nil
		},
	}
}

// openedAndReset are the frames that open the substreams from id on and reset each.
func openedAndReset(id uint32) []byte {
	b := make([]byte, 0, 2*atOnce*frameHeader)
	for range atOnce {
		for _, flags := range []uint16{flagSYN, flagRST} {
			b = append(b, 0, 0) // version, data
			b = binary.BigEndian.AppendUint16(b, flags)
			b = binary.BigEndian.AppendUint32(b, id)
			b = binary.BigEndian.AppendUint32(b, 0)
		}
		id += 2
	}
	return b
}
