package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// silentHandshakes has twelve identities open three substreams each for the node's own service
// and for a user's, say nothing on them, and do so again when one ends. A stroke is a substream.
func silentHandshakes() attack {
	const identities, each = 12, 3
	return attack{
		name: "silent-handshakes", config: gamelan.Config{DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor},
		options: []gamelan.Option{gamelan.WithService(rpcService)}, call: callBoth,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			sessions, err := many(identities, seed)
			return func(ctx context.Context, count *atomic.Uint64) error {
				return sessionsOn(ctx, sessions, each, []protocol.ID{protocol.PeersID, benchProtocol}, nil, count)
			}, err
		},
	}
}

// idleSessions has a hundred identities hold ten sessions each with a user's service, for longer
// than the node protects them. A stroke is a session that began.
func idleSessions() attack {
	const identities, each = 100, 10
	return attack{
		name: "idle-sessions", config: gamelan.Config{DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor}, rest: 31 * time.Second,
		options: []gamelan.Option{gamelan.WithService(rpcService)}, call: callBoth,
		prepare: func(ctx context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			sessions, err := many(identities, seed)
			if err != nil {
				return nil, err
			}
			var begun, count atomic.Uint64
			failed := make(chan error, 1)
			go func() {
				failed <- sessionsOn(ctx, sessions, each, []protocol.ID{benchProtocol}, frame.Append(nil, onecall.AppendHello(nil)), &begun)
			}()
			if err := wait(ctx, func() bool { return begun.Load() >= identities*each }); err != nil {
				return nil, err
			}
			return func(ctx context.Context, strokes *atomic.Uint64) error {
				count.Store(begun.Load())
				for ctx.Err() == nil {
					pause(ctx, 100*time.Millisecond)
					n := begun.Load()
					strokes.Add(n - count.Swap(n) + 1)
				}
				return nil
			}, nil
		},
	}
}

// many connects as that many new identities.
func many(n int, seed string) (all []*mux.Session, err error) {
	for range n {
		s, err := sessionNew(seed)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// sessionsOn keeps substreams open on each connection for each of some services, on which it
// writes first and nothing more.
func sessionsOn(ctx context.Context, on []*mux.Session, each int, ids []protocol.ID, first []byte, count *atomic.Uint64) error {
	var wg sync.WaitGroup
	for _, s := range on {
		for i := range each * len(ids) {
			opening, err := negotiate.AppendOptimistic(nil, ids[i%len(ids)])
			if err != nil {
				return err
			}
			opening = append(opening, first...)
			wg.Go(func() {
				for ctx.Err() == nil {
					stream, err := s.Open()
					if err != nil {
						pause(ctx, comesAgain)
						continue
					}
					if _, err = stream.Write(opening); err == nil {
						count.Add(1)
						io.Copy(io.Discard, stream)
					}
					stream.Close()
					pause(ctx, comesAgain)
				}
			})
		}
	}
	wg.Wait()
	return nil
}

// callBoth asks a node for peers and calls its user's service.
func callBoth(ctx context.Context, from, to *gamelan.Node) error {
	for _, err := range rpc.ItemsBytes(ctx, from.RPC().Client(to.ID(), protocol.PeersID), netsync.MethodGetPeers, wire.GetPeers{MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil)) {
		if err != nil {
			return err
		}
	}
	_, err := rpc.Call[blob, blob](ctx, from.RPC().Client(to.ID(), benchProtocol), echoMethod, wrapperspb.Bytes(payload(32)))
	return err
}

// IdleSessions is gamelan/idle-rpc-sessions-1000: ten nodes with a service, ten that have ten
// sessions with each; the cost of one session end after five seconds of rest. The
// connections are not counted.
func IdleSessions() harness.Case {
	const nodes, each = 10, 10
	return harness.Case{Name: fmt.Sprintf("gamelan/idle-rpc-sessions-%d", nodes*nodes*each), Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		var together sync.WaitGroup // of the calls to one node, so that each takes a session
		service := rpc.Service{Protocol: benchProtocol, Methods: []rpc.Method{
			rpc.Unary(echoMethod, func(_ context.Context, in *blob) (*blob, error) {
				together.Done()
				together.Wait()
				return in, nil
			}),
		}}
		cfg := gamelan.Config{RPC: gamelan.RPCConfig{MaxPeerSessions: each, ClientSessions: each}}
		g, err := newGrid(m.Context(), nodes, nodes, cfg, gamelan.WithService(service))
		if err != nil {
			return err
		}
		if err := g.connectAll(); err != nil {
			return errors.Join(err, g.close())
		}
		return m.Memory(2*nodes*nodes*each, 5*time.Second, func() (func(), error) {
			var all []error
			for _, from := range g.dialers {
				for _, to := range g.listeners {
					together.Add(each)
					all = append(all, eachOf(each, func() error { return callOnce(g.ctx, from, to.ID()) }))
				}
			}
			return g.drop, errors.Join(all...)
		})
	}}
}

func callOnce(ctx context.Context, from *gamelan.Node, to identity.NodeID) error {
	_, err := rpc.Call[blob, blob](ctx, from.RPC().Client(to, benchProtocol), echoMethod, wrapperspb.Bytes(payload(32)))
	return err
}

// eachOf calls f that many times at once.
func eachOf(n int, f func() error) error { return errors.Join(strikes(n, f)...) }
