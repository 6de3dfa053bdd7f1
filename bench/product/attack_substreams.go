package product

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Frames of the multiplexer (spec: comms 5.2).
const (
	typeData   = 0
	typeWindow = 1
	typePing   = 2
	flagSYN    = 1
	flagRST    = 8
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
func openedAndReset(id uint32) []byte { return substreams(id, atOnce, flagSYN, flagRST) }

// substreams are empty data frames with these flags on each of n substreams from id on.
func substreams(id, n uint32, flags ...uint16) (b []byte) {
	for end := id + 2*n; id < end; id += 2 {
		for _, flags := range flags {
			b = appendFrame(b, typeData, flags, id, 0)
		}
	}
	return b
}

// appendFrame appends a frame of the multiplexer without a body.
func appendFrame(b []byte, kind byte, flags uint16, id, value uint32) []byte {
	b = binary.BigEndian.AppendUint16(append(b, 0, kind), flags) // version 0
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, id), value)
}

// silentSubstreams opens as many substreams as a connection may have, on each of 400 connections
// from loopback, and says nothing on them. It opens more where the node has reset some, each
// second. A stroke is a substream that was written.
func silentSubstreams() attack {
	const identities, each, every = 400, 80, time.Second
	return attack{
		name: "silent-substreams",
		prepare: func(ctx context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			var held [identities]net.Conn
			for i := range held {
				var err error
				if held[i], _, err = enter(ctx, seed, "127.0.0.1"); err != nil {
					return nil, err
				}
			}
			return func(ctx context.Context, count *atomic.Uint64) error {
				var wg sync.WaitGroup
				for _, c := range held {
					wg.Go(func() {
						repeat(ctx, func() (err error) {
							if c == nil {
								if c, _, err = enter(ctx, seed, "127.0.0.1"); err != nil {
									return err
								}
							}
							defer func() { c.Close(); c = nil }()
							go hungUp(c)
							for id := uint32(1); ctx.Err() == nil; id += 2 * each {
								if _, err := c.Write(substreams(id, each, flagSYN)); err != nil {
									return nil
								}
								count.Add(each)
								pause(ctx, every)
							}
							return nil
						})
					})
				}
				wg.Wait()
				return nil
			}, nil
		},
	}
}

// uselessFrames has four identities write pings, window updates and empty data as fast as they are
// read, on a connection with one substream that says nothing. A stroke is a frame.
func uselessFrames() attack {
	const identities, each = 4, 64
	return attack{
		name: "useless-frames",
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			var all []byte
			for i := range uint32(each) {
				all = appendFrame(all, typePing, flagSYN, 0, i)
				all = appendFrame(all, typeWindow, 0, 1, 1)
				all = appendFrame(all, typeData, 0, 1, 0)
			}
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(identities, func() error {
					return repeat(ctx, func() error {
						c, _, err := enter(ctx, seed, "127.0.0.1")
						if err != nil {
							return err
						}
						defer c.Close()
						go hungUp(c)
						_, err = c.Write(substreams(1, 1, flagSYN))
						for err == nil && ctx.Err() == nil {
							_, err = c.Write(all)
							count.Add(3 * each)
						}
						return nil
					})
				})
			}, nil
		},
	}
}
