package product

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

type blob = wrapperspb.BytesValue

// Methods of the service: echo, and items of the size of the request's for ever.
const (
	echoMethod  = 1
	itemsMethod = 2
)

var rpcService = rpc.Service{Protocol: benchProtocol, Methods: []rpc.Method{
	rpc.Unary(echoMethod, func(_ context.Context, in *blob) (*blob, error) { return in, nil }),
	rpc.Stream(itemsMethod, func(_ context.Context, in *blob) iter.Seq2[*blob, error] {
		return func(yield func(*blob, error) bool) {
			for item := wrapperspb.Bytes(in.Value); yield(item, nil); {
			}
		}
	}),
}}

// calling is a node that serves and one that is connected to it and calls.
func calling(s *nodes, sessions int) (*rpc.Client, error) {
	limits := gamelan.Config{RPC: gamelan.RPCConfig{MaxPeerSessions: sessions, ClientSessions: sessions}}
	to, err := s.start(limits, gamelan.WithService(rpcService))
	if err != nil {
		return nil, err
	}
	from, err := s.start(limits)
	if err != nil {
		return nil, err
	}
	if err := connect(s.ctx, from, to); err != nil {
		return nil, err
	}
	return from.RPC().Client(to.ID(), benchProtocol), nil
}

// RPC is gamelan/rpc-N-Ssessions: typed unary calls with n bytes there and back,
// one at a time on each of s sessions.
func RPC(n, s int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/rpc-%s-%dsessions", size(n), s), Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, ns.close()) }()
		client, err := calling(ns, s)
		if err != nil {
			return err
		}
		ctx, body := context.Background(), payload(n)
		return m.Parallel(s, func(int) error {
			_, err := rpc.Call[blob, blob](ctx, client, echoMethod, wrapperspb.Bytes(body))
			return err
		}, 50)
	}}
}

// RPCItems is gamelan/rpc-items-N: a typed stream of items of n bytes without
// end, on one session.
func RPCItems(n int) harness.Case {
	return harness.Case{Name: "gamelan/rpc-items-" + size(n), Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		var received atomic.Uint64
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(m.Context())
		defer func() {
			cancel()
			wg.Wait()
			err = errors.Join(err, ns.close())
		}()
		client, err := calling(ns, 1)
		if err != nil {
			return err
		}
		wg.Go(func() {
			for _, err := range rpc.Items[blob, blob](ctx, client, itemsMethod, wrapperspb.Bytes(payload(n))) {
				if err != nil {
					return
				}
				received.Add(1)
			}
		})
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}

// StreamRequest is gamelan/stream-request-response-N: the exchange of RPC on a
// bare substream, framed by hand: what is left to the calls themselves.
func StreamRequest(n int) harness.Case {
	return harness.Case{Name: "gamelan/stream-request-response-" + size(n), Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, ns.close()) }()
		from, to, err := serving(ns, gamelan.Config{}, func(s protocol.Stream) error {
			buf := make([]byte, frame.HeaderLen+n)
			r := bufio.NewReaderSize(s, 4<<10)
			for {
				if _, err := io.ReadFull(r, buf); err != nil {
					return err
				}
				if _, err := s.Write(buf); err != nil {
					return err
				}
			}
		})
		if err != nil {
			return err
		}
		s, err := from.OpenStream(m.Context(), to.ID(), benchProtocol)
		if err != nil {
			return err
		}
		defer s.Close()
		msg, r := frame.Append(nil, payload(n)), bufio.NewReaderSize(s, 4<<10)
		return m.Loop(50, func() error {
			if _, err := s.Write(msg); err != nil {
				return err
			}
			_, err := io.ReadFull(r, msg)
			return err
		})
	}}
}

// Beside is gamelan/frame-after-N-others: how late a frame is that a peer sends on one substream right after n quick exchanges
// on another: nobody reads the connection then, if the Read of those has led.
func Beside(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/frame-after-%d-others", n), Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		serves, sends, over := make(chan protocol.Stream, 2), make(chan struct{}), make(chan struct{})
		defer func() {
			close(sends)
			close(over)
			err = errors.Join(err, ns.close())
		}()
		from, to, err := serving(ns, gamelan.Config{}, func(s protocol.Stream) error {
			serves <- s
			<-over
			return nil
		})
		if err != nil {
			return err
		}
		open := func() (mine, its protocol.Stream, err error) {
			if mine, err = from.OpenStream(m.Context(), to.ID(), benchProtocol); err == nil {
				_, err = mine.Write([]byte("x"))
			}
			if err != nil {
				return nil, nil, err
			}
			its = <-serves
			_, err = io.ReadFull(its, make([]byte, 1))
			return mine, its, err
		}
		one, others, err := open()
		if err != nil {
			return err
		}
		defer one.Close()
		two, late, err := open()
		if err != nil {
			return err
		}
		defer two.Close()
		go func() {
			buf := make([]byte, 32)
			for {
				if _, err := io.ReadFull(others, buf); err != nil {
					return
				}
				if _, err := others.Write(buf); err != nil {
					return
				}
			}
		}()
		sent := make(chan time.Time, 1)
		go func() {
			for range sends {
				sent <- time.Now()
				if _, err := late.Write(make([]byte, 32)); err != nil {
					return
				}
			}
		}()
		came := make(chan time.Time, 1)
		go func() {
			buf := make([]byte, 32)
			for {
				if _, err := io.ReadFull(two, buf); err != nil {
					return
				}
				came <- time.Now()
			}
		}()
		var all []time.Duration
		buf := make([]byte, 32)
		for begin := time.Now(); time.Since(begin) < m.Window(); {
			for range n {
				if _, err := one.Write(buf); err != nil {
					return err
				}
				if _, err := io.ReadFull(one, buf); err != nil {
					return err
				}
			}
			sends <- struct{}{}
			began := <-sent
			all = append(all, (<-came).Sub(began))
		}
		return m.Latencies(all)
	}}
}
