package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// RPC is a node's handle for remote calls: the services that the node offers, and its
// calls to the services of peers. [Node.RPC] returns it.
type RPC struct{ n *Node }

// RPC returns the node's handle for remote calls.
func (n *Node) RPC() *RPC { return &RPC{n} }

// Register offers a service whose methods peers can call. It works while the node runs. A service
// counts as one of the at most 100 protocols of a node: see [Node.Register].
func (r *RPC) Register(ctx context.Context, s rpc.Service) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	added, err := assemble.Ask[rpcpart.ServiceAdded](ctx, r.n.e, r.n.e.Calls.Server, rpcpart.AddService{Service: s})
	return registerError("register service", what(s.Protocol, "", nil), cmp.Or(err, added.Err))
}

// Unregister withdraws a service. Running calls are cut off, and no call is answered after
// Unregister has returned.
func (r *RPC) Unregister(ctx context.Context, id protocol.ID) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	removed, err := assemble.Ask[rpcpart.ServiceRemoved](ctx, r.n.e, r.n.e.Calls.Server, rpcpart.RemoveService{ID: id})
	return registerError("unregister service", what(id, "", nil), cmp.Or(err, removed.Err))
}

// Client returns a client for a service of a peer. Nothing is sent before the first call.
// An option is the service's encoding, for example [rpc.JSON], or an [rpc.Interceptor].
func (r *RPC) Client(peer identity.NodeID, service protocol.ID, opts ...rpc.ClientOption) *RPCClient {
	return &RPCClient{r.n, rpcpart.Key{Peer: peer, Protocol: service}, rpc.Settings(opts...)}
}

// RPCClient makes calls to one service of one peer, through [rpc.Call] and [rpc.Items]. It
// owns no resources and need not be closed. The node owns the sessions: it opens them, and
// dials the peer, when they are needed, and all calls to that service share them. An
// RPCClient may be used by any number of goroutines.
type RPCClient struct {
	n        *Node
	key      rpcpart.Key
	settings rpc.ClientSettings
}

var _ rpc.Encoder = (*RPCClient)(nil)

// Peer returns the peer that the client calls.
func (c *RPCClient) Peer() identity.NodeID { return c.key.Peer }

// Service returns the service that the client calls.
func (c *RPCClient) Service() protocol.ID { return c.key.Protocol }

// Encoding returns the encoding of requests and answers.
func (c *RPCClient) Encoding() rpc.Encoding { return c.settings.Encoding }

// Invoke makes one call, as [rpc.Invoker] describes. [rpc.Call] and [rpc.Items] are the
// typed forms.
//
// Invoke waits for a place while as many calls run as there may be: 1,024 with a service of a node of this library, and as many as
// RPCConfig.ClientSessions with one of another make. If the peer has
// no session left, Invoke tries again for a while and then returns an
// [*rpc.RejectedError]; a later call may succeed: see [rpc.Retryable] and [rpc.Retry]. A node may call itself.
//
// When ctx ends, a dial that was made for this call alone ends too. The peer is told to
// stop a stream. A peer that runs this library is also told to stop a unary call; other
// peers go on with a unary call until the deadline that was sent with it, because some of
// them would block the session. After ctx's deadline, the error of a call that the service
// has not answered matches both [rpc.Timeout] and [context.DeadlineExceeded].
func (c *RPCClient) Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	call := rpc.Invocation{Peer: c.key.Peer, Protocol: c.key.Protocol, Method: method, Stream: stream}
	return c.settings.Through(ctx, call, func(ctx context.Context) error {
		return c.retried(ctx, stream, func() error { return c.once(ctx, method, stream, encode, got) })
	})
}

// retried makes a call, and makes it again as the client's policy says.
func (c *RPCClient) retried(ctx context.Context, stream bool, call func() error) error {
	for n := 1; ; n++ {
		err := call()
		if err == nil || stream || c.settings.Retry == nil {
			return err
		}
		pause, again := c.settings.Retry.Again(n, err, rand.Float64())
		if end, ok := ctx.Deadline(); !again || ok && end.Sub(c.n.e.Trunk.Now()) <= pause {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// once makes a call.
func (c *RPCClient) once(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	if c.key.Peer == c.n.ID() {
		caller := rpc.Caller{Peer: c.n.ID(), Key: c.n.PublicKey()}
		return c.failed(ctx, c.n.e.Calls.Own(ctx, caller, c.key.Protocol, method, stream, encode, got))
	}
	return c.on(ctx, func(s *rpcpart.Session) (rpc.Repeat, error) { return s.Invoke(ctx, method, stream, encode, got) })
}

// Ping measures how long the peer takes to answer on a session with the service.
func (c *RPCClient) Ping(ctx context.Context) (took time.Duration, err error) {
	err = c.on(ctx, func(s *rpcpart.Session) (again rpc.Repeat, err error) {
		took, again, err = s.Ping(ctx)
		return again, err
	})
	return took, err
}

// on makes a call on a session. If the session had ended unnoticed, on makes the call
// again on another session, because all idle sessions may have ended. A call that may have
// run is made at most once more.
func (c *RPCClient) on(ctx context.Context, call func(*rpcpart.Session) (again rpc.Repeat, err error)) error {
	for repeated := 0; ; repeated++ {
		s, err := c.session(ctx)
		if err != nil {
			return c.failed(ctx, c.notRun(ctx, err))
		}
		again, err := call(s)
		if err == nil {
			return nil
		}
		if again == rpc.RepeatNever || again == rpc.RepeatOnce && repeated > 0 || repeated > c.n.e.Calls.Clients {
			return c.failed(ctx, err)
		}
	}
}

func (c *RPCClient) session(ctx context.Context) (*rpcpart.Session, error) {
	if s, ok := c.n.e.Calls.IdleSession(c.key); ok {
		return s, nil
	}
	if c.n.e.Stopping() {
		return nil, ErrClosed
	}
	gone := func() bool { return ctx.Err() != nil }
	r, err := assemble.Ask[rpcpart.SessionGiven](ctx, c.n.e, c.n.e.Calls.Client, rpcpart.AcquireSession{Key: c.key, Gone: gone})
	if ctx.Err() != nil && r.Session == nil {
		c.n.e.Trunk.System().Root.Send(c.n.e.Calls.Client, rpcpart.CallerGone{Key: c.key})
	}
	return r.Session, cmp.Or(err, r.Err)
}

// notRun returns the error of a call for which there was no session. It is for good if the peer cannot be called at all.
func (c *RPCClient) notRun(ctx context.Context, err error) error {
	for _, forGood := range []error{ErrUnknownPeer, ErrBanned, ErrUnsupported, ErrClosed} {
		if errors.Is(err, forGood) {
			return err
		}
	}
	if why := c.n.e.Calls.Busy(c.key); ctx.Err() != nil && why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	return rpc.NotRun(err)
}

// failed returns the error for the caller.
func (c *RPCClient) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if c.n.e.Stopping() {
		return ErrClosed
	}
	return rpcpart.CallFailed(ctx, c.n.e.Trunk.Now(), err)
}
