package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

const benchProtocol protocol.ID = "/bench/1"

// serve makes a protocol actor that runs f beside itself for each substream.
func serve(f func(protocol.Stream) error) gamelan.Option {
	return gamelan.WithProtocol(benchProtocol, func(*gamelan.Node) actor.Actor {
		return receive(func(c actor.Context) {
			m, ok := c.Message().(actors.SubstreamOpened)
			if !ok {
				return
			}
			if s, ok := m.Stream.Take(); ok {
				supervisor.Go(c, "serve", s, func(context.Context) error { return f(s) })
			}
		})
	})
}

// serving is a node that serves f, and one that is connected to it.
func serving(s *nodes, cfg gamelan.Config, f func(protocol.Stream) error) (from, to *gamelan.Node, err error) {
	return pair(s, cfg, serve(f))
}

// pair is a node with those options, and one that is connected to it.
func pair(s *nodes, cfg gamelan.Config, opts ...gamelan.Option) (from, to *gamelan.Node, err error) {
	if to, err = s.start(cfg, opts...); err != nil {
		return nil, nil, err
	}
	if from, err = s.start(cfg); err != nil {
		return nil, nil, err
	}
	return from, to, connect(s.ctx, from, to)
}

// Bulk is gamelan/bulk-Sstream-64KiB: s substreams, one goroutine each that
// writes 64 KiB at a time, readers with 64 KiB. A window of 0 is the default;
// another becomes part of the name.
func Bulk(s int, window uint32) harness.Case {
	const chunk = 64 << 10
	name := fmt.Sprintf("gamelan/bulk-%dstream-64KiB", s)
	if window > 0 {
		name += fmt.Sprintf("-window%dMiB", window>>20)
	}
	return harness.Case{Name: name, Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		var received atomic.Uint64
		from, to, err := serving(ns, gamelan.Config{Mux: gamelan.MuxConfig{Window: window}}, func(s protocol.Stream) error {
			buf := make([]byte, chunk)
			for {
				n, err := s.Read(buf)
				received.Add(uint64(n))
				if err != nil {
					return err
				}
			}
		})
		var wg sync.WaitGroup
		var open []protocol.Stream
		defer func() {
			for _, s := range open {
				s.Close()
			}
			wg.Wait()
			err = errors.Join(err, ns.close())
		}()
		if err != nil {
			return err
		}
		buf := payload(chunk)
		for range s {
			s, err := from.OpenStream(m.Context(), to.ID(), benchProtocol)
			if err != nil {
				return err
			}
			open = append(open, s)
			wg.Go(func() {
				for {
					if _, err := s.Write(buf); err != nil {
						return
					}
				}
			})
		}
		m.SetBytes(chunk)
		return m.Flow(func() uint64 { return received.Load() / chunk })
	}}
}

// Substream is gamelan/substream+1msg-echo+close: open a substream (optimistic
// negotiation), write one byte, read the echo, close; one at a time.
func Substream() harness.Case {
	return harness.Case{Name: "gamelan/substream+1msg-echo+close", Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, ns.close()) }()
		from, to, err := serving(ns, gamelan.Config{}, echoOne)
		if err != nil {
			return err
		}
		one := []byte{1}
		return m.Loop(50, func() error {
			s, err := from.OpenStream(m.Context(), to.ID(), benchProtocol)
			if err != nil {
				return err
			}
			defer s.Close()
			if _, err := s.Write(one); err != nil {
				return err
			}
			if _, err := io.ReadFull(s, one); err != nil {
				return err
			}
			return s.CloseWrite()
		})
	}}
}

// echoOne sends one byte back and ends when the other side has.
func echoOne(s protocol.Stream) error {
	one := make([]byte, 1)
	if _, err := io.ReadFull(s, one); err != nil {
		return err
	}
	if _, err := s.Write(one); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	_, err := s.Read(one)
	return err
}
