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
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
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

// Client returns a client for a service of a peer. The node owns the sessions: it opens them, and dials the peer, when calls need
// them, and all calls to that service share them. Nothing is sent before the first call.
// An option is the service's encoding, for example [rpc.JSON], an [rpc.Interceptor], or [rpc.Retry].
//
// A call waits for a place while as many run as there may be: 1,024 with a service of a node of this library, and as many as
// RPCConfig.ClientSessions with one of another make. If the peer has
// no session left, the node tries again for a while, and the call ends with an
// [*rpc.RejectedError]; a later call may succeed: see [rpc.Retryable] and [rpc.Retry]. A node may call itself.
//
// When the ctx of a call ends, a dial that was made for this call alone ends too. The peer is told to
// stop a stream. A peer that runs this library is also told to stop a call with one answer; other
// peers go on with it until the deadline that was sent with it, because some of
// them would block the session. After ctx's deadline, the error of a call that the service
// has not answered matches both [rpc.Timeout] and [context.DeadlineExceeded].
func (r *RPC) Client(peer identity.NodeID, service protocol.ID, opts ...rpc.ClientOption) *rpc.Client {
	return rpc.NewClient(peer, service, &calling{r.n, rpcpart.Key{Peer: peer, Protocol: service}}, opts...)
}

// calling makes the calls of clients of one service of one peer.
type calling struct {
	n   *Node
	key rpcpart.Key
}

// Invoke makes a call with one request.
func (c *calling) Invoke(ctx context.Context, call rpc.Invocation, encode func([]byte) ([]byte, error), got func([]byte) error) (err error) {
	began := c.n.e.Trunk.Now()
	defer func() { c.n.e.Calls.Made(began, err, call.Stream) }()
	if c.key.Peer == c.n.ID() {
		if c.n.e.Stopping() {
			return ErrClosed
		}
		return c.failed(ctx, c.n.e.Calls.Own(ctx, c.self(), call, encode, got))
	}
	return c.on(ctx, func(s *rpcpart.Session) (onecall.Repeat, error) {
		return s.Invoke(ctx, call.Method, call.Stream, encode, got)
	})
}

// Exchange makes a call with a stream of requests.
func (c *calling) Exchange(ctx context.Context, call rpc.Invocation, f func(rpc.Channel) error) (err error) {
	began := c.n.e.Trunk.Now()
	defer func() { c.n.e.Calls.Made(began, err, true) }()
	if c.key.Peer == c.n.ID() {
		if c.n.e.Stopping() {
			return ErrClosed
		}
		return c.failed(ctx, c.n.e.Calls.OwnExchange(ctx, c.self(), call, f))
	}
	return c.on(ctx, func(s *rpcpart.Session) (onecall.Repeat, error) { return s.Exchange(ctx, call.Method, call.Stream, f) })
}

// Ping measures how long the service takes to answer. That of the node itself takes no time.
func (c *calling) Ping(ctx context.Context) (took time.Duration, err error) {
	if c.key.Peer == c.n.ID() {
		return 0, c.failed(ctx, c.n.e.Calls.Offers(c.key.Protocol))
	}
	err = c.on(ctx, func(s *rpcpart.Session) (again onecall.Repeat, err error) {
		took, again, err = s.Ping(ctx)
		return again, err
	})
	return took, err
}

// self is the node as a caller of its own services.
func (c *calling) self() rpc.Caller { return rpc.Caller{Peer: c.n.ID(), Key: c.n.PublicKey()} }

// Pause waits before a call is made again.
func (c *calling) Pause(ctx context.Context, most time.Duration) bool {
	pause := most/2 + rand.N(most/2+1)
	if end, ok := ctx.Deadline(); ok && end.Sub(c.n.e.Trunk.Now()) <= pause {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// on makes a call on a session. If the session had ended unnoticed, on makes the call
// again on another session, because all idle sessions may have ended. A call that may have
// run is made at most once more.
func (c *calling) on(ctx context.Context, call func(*rpcpart.Session) (again onecall.Repeat, err error)) error {
	for repeated := 0; ; repeated++ {
		s, err := c.session(ctx)
		if err != nil {
			return c.failed(ctx, c.notRun(ctx, err))
		}
		again, err := call(s)
		if err == nil {
			return nil
		}
		if again == onecall.RepeatNever || again == onecall.RepeatOnce && repeated > 0 || repeated > c.n.e.Calls.Clients {
			return c.failed(ctx, err)
		}
	}
}

func (c *calling) session(ctx context.Context) (*rpcpart.Session, error) {
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
func (c *calling) notRun(ctx context.Context, err error) error {
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
func (c *calling) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if c.n.e.Stopping() {
		return ErrClosed
	}
	return rpcpart.CallFailed(ctx, c.n.e.Trunk.Now(), err)
}
