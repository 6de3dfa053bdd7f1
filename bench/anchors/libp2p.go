package anchors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

const benchProtocol = protocol.ID("/bench/1")

// newHost is a go-libp2p host with TCP, its Noise and its yamux only, without
// relay, metrics and resource limits.
func newHost(listen bool) (host.Host, error) {
	addresses := libp2p.NoListenAddrs
	if listen {
		addresses = libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0")
	}
	return libp2p.New(
		addresses,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
}

// hosts starts listeners hosts that listen and dialers that do not.
func hosts(listeners, dialers int) (l, d []host.Host, stop func(), err error) {
	stop = func() {
		for _, h := range append(l, d...) {
			_ = h.Close()
		}
	}
	for i := range listeners + dialers {
		h, err := newHost(i < listeners)
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		if i < listeners {
			l = append(l, h)
		} else {
			d = append(d, h)
		}
	}
	return l, d, stop, nil
}

func info(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

// Libp2pConnect is libp2p/connect+identify+close-sequential: one pair; connect,
// which returns after identify, close, and wait until the listener has no
// connection left.
func Libp2pConnect() harness.Case {
	return harness.Case{Name: "libp2p/connect+identify+close-sequential", Run: func(m *harness.Meter) error {
		l, d, stop, err := hosts(1, 1)
		if err != nil {
			return err
		}
		defer stop()
		gone := make(chan struct{}, 1)
		l[0].Network().Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) { gone <- struct{}{} }})
		return m.Loop(3, func() error {
			if err := connectAndClose(m.Context(), d[0], l[0]); err != nil {
				return err
			}
			select {
			case <-gone:
				return nil
			case <-m.Context().Done():
				return m.Context().Err()
			}
		})
	}}
}

// Libp2pConnect8 is libp2p/connect+identify+close-8dialers: eight dialling
// hosts, one goroutine each, against one listening host.
func Libp2pConnect8() harness.Case {
	return harness.Case{Name: "libp2p/connect+identify+close-8dialers", Run: func(m *harness.Meter) error {
		l, d, stop, err := hosts(1, 8)
		if err != nil {
			return err
		}
		defer stop()
		return m.Parallel(8, func(i int) error { return connectAndClose(m.Context(), d[i], l[0]) }, 16)
	}}
}

func connectAndClose(ctx context.Context, d, l host.Host) error {
	if err := d.Connect(ctx, info(l)); err != nil {
		return err
	}
	return d.Network().ClosePeer(l.ID())
}

// Libp2pNewStream is libp2p/newstream+1msg-echo+close: open a stream (lazy
// negotiation), write one byte, read the echo, close; one at a time.
func Libp2pNewStream() harness.Case {
	return harness.Case{Name: "libp2p/newstream+1msg-echo+close", Run: func(m *harness.Meter) error {
		l, d, stop, err := connectedWith(m.Context(), func(s network.Stream) {
			one := make([]byte, 1)
			if _, err := io.ReadFull(s, one); err != nil {
				_ = s.Reset()
				return
			}
			_, _ = s.Write(one)
			_ = s.Close()
		})
		if err != nil {
			return err
		}
		defer stop()
		one := []byte{1}
		return m.Loop(50, func() error {
			s, err := d.NewStream(m.Context(), l.ID(), benchProtocol)
			if err != nil {
				return err
			}
			if _, err := s.Write(one); err != nil {
				return errors.Join(err, s.Reset())
			}
			if _, err := io.ReadFull(s, one); err != nil {
				return errors.Join(err, s.Reset())
			}
			return s.Close()
		})
	}}
}

// connectedWith is one listening and one dialling host, connected, with a
// handler at the listener that the dialer knows of.
func connectedWith(ctx context.Context, handler network.StreamHandler) (l, d host.Host, stop func(), err error) {
	ls, ds, stop, err := hosts(1, 1)
	if err != nil {
		return nil, nil, nil, err
	}
	ls[0].SetStreamHandler(benchProtocol, handler)
	if err := ds[0].Connect(ctx, info(ls[0])); err != nil {
		stop()
		return nil, nil, nil, err
	}
	return ls[0], ds[0], stop, nil
}

// Libp2pRequest is libp2p/request-response-N: one open stream, a message of n
// bytes through a buffer of 4 KiB, flushed, and its echo.
func Libp2pRequest(n int) harness.Case {
	return harness.Case{Name: "libp2p/request-response-" + size(n), Run: func(m *harness.Meter) error {
		l, d, stop, err := connectedWith(m.Context(), echoMessages(n))
		if err != nil {
			return err
		}
		defer stop()
		exchange, err := openExchange(m.Context(), l, d, n)
		if err != nil {
			return err
		}
		return m.Loop(50, exchange)
	}}
}

// echoMessages sends back each message of n bytes, flushed.
func echoMessages(n int) network.StreamHandler {
	return func(s network.Stream) {
		defer s.Close()
		r, w, buf := bufio.NewReaderSize(s, 4<<10), bufio.NewWriterSize(s, 4<<10), make([]byte, n)
		for {
			msg, err := readMessage(r, buf)
			if err != nil || writeMessage(w, msg) != nil || w.Flush() != nil {
				return
			}
		}
	}
}

// openExchange opens a stream; each call sends a message of n bytes and reads
// its echo.
func openExchange(ctx context.Context, l, d host.Host, n int) (func() error, error) {
	s, err := d.NewStream(ctx, l.ID(), benchProtocol)
	if err != nil {
		return nil, err
	}
	r, w, msg, buf := bufio.NewReaderSize(s, 4<<10), bufio.NewWriterSize(s, 4<<10), body(n), make([]byte, n)
	return func() error {
		if err := errors.Join(writeMessage(w, msg), w.Flush()); err != nil {
			return err
		}
		_, err := readMessage(r, buf)
		return err
	}, nil
}

// Libp2pOneWay is libp2p/oneway-each-flushed-N or libp2p/oneway-bufio64K-N: one
// open stream, messages through a buffer of 64 KiB that is flushed after each,
// or only written out when full; a reader with a buffer of 64 KiB.
func Libp2pOneWay(n int, flush bool) harness.Case {
	name := "libp2p/oneway-bufio64K-"
	if flush {
		name = "libp2p/oneway-each-flushed-"
	}
	return harness.Case{Name: name + size(n), Run: func(m *harness.Meter) error {
		var received atomic.Uint64
		l, d, stop, err := connectedWith(m.Context(), func(s network.Stream) {
			r, buf := bufio.NewReaderSize(s, 64<<10), make([]byte, n)
			for {
				if _, err := readMessage(r, buf); err != nil {
					return
				}
				received.Add(1)
			}
		})
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		s, err := d.NewStream(m.Context(), l.ID(), benchProtocol)
		if err != nil {
			return err
		}
		wg.Go(func() {
			w, msg := bufio.NewWriterSize(s, 64<<10), body(n)
			for {
				if writeMessage(w, msg) != nil || flush && w.Flush() != nil {
					return
				}
			}
		})
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}

// Libp2pBulk is libp2p/bulk-Sstream-64KiB: s streams, one goroutine each that
// writes 64 KiB at a time, readers with 64 KiB.
func Libp2pBulk(s int) harness.Case {
	const chunk = 64 << 10
	return harness.Case{Name: fmt.Sprintf("libp2p/bulk-%dstream-64KiB", s), Run: func(m *harness.Meter) error {
		var received atomic.Uint64
		l, d, stop, err := connectedWith(m.Context(), func(s network.Stream) {
			buf := make([]byte, chunk)
			for {
				n, err := s.Read(buf)
				received.Add(uint64(n))
				if err != nil {
					return
				}
			}
		})
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		buf := body(chunk)
		for range s {
			stream, err := d.NewStream(m.Context(), l.ID(), benchProtocol)
			if err != nil {
				return err
			}
			wg.Go(func() {
				for {
					if _, err := stream.Write(buf); err != nil {
						return
					}
				}
			})
		}
		m.SetBytes(chunk)
		return m.Flow(func() uint64 { return received.Load() / chunk })
	}}
}

// Libp2pIdle is libp2p/idle-connections-N: 25 listening hosts, n/25 dialling
// ones, each connected to every listener; the cost of one connection end after
// two seconds of rest. The hosts themselves are not counted.
func Libp2pIdle(n int) harness.Case {
	const listeners = 25
	return harness.Case{Name: fmt.Sprintf("libp2p/idle-connections-%d", n), Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		l, d, stop, err := hosts(listeners, n/listeners)
		if err != nil {
			return err
		}
		return m.Memory(2*n, 2*time.Second, func() (func(), error) {
			for _, from := range d {
				for _, to := range l {
					if err := from.Connect(m.Context(), info(to)); err != nil {
						stop()
						return nil, err
					}
				}
			}
			return stop, nil
		})
	}}
}
