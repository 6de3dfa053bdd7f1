package gamelan

import (
	"cmp"
	"context"
	"time"

	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// RPC is a node's part in calls: the services that it offers, and its calls to
// those of peers. [Node.RPC] returns it.
type RPC struct{ n *Node }

// RPC returns the node's part in calls.
func (n *Node) RPC() *RPC { return &RPC{n} }

// Register offers a service: peers can call its methods, and new
// connections tell them about it. It works while the node runs. A service counts
// as one of the 20 protocols that there may be.
func (r *RPC) Register(ctx context.Context, s rpc.Service) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	added, err := ask[rpcpart.ServiceAdded](ctx, r.n, r.n.calls.Server, rpcpart.AddService{Service: s})
	return registerError("register service", what(s.Protocol, nil), cmp.Or(err, added.Err))
}

// Unregister ends a service. Calls that run are cut, and when it returns
// none is answered any more.
func (r *RPC) Unregister(ctx context.Context, id protocol.ID) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	removed, err := ask[rpcpart.ServiceRemoved](ctx, r.n, r.n.calls.Server, rpcpart.RemoveService{ID: id})
	return registerError("unregister service", what(id, nil), cmp.Or(err, removed.Err))
}

// Client returns what makes calls to a service of a peer. Nothing is sent
// before the first call.
func (r *RPC) Client(peer identity.NodeID, service protocol.ID) *RPCClient {
	return &RPCClient{r.n, rpcpart.Key{Peer: peer, Protocol: service}}
}

// RPCClient makes calls to one service of one peer, by [rpc.Call] and
// [rpc.Items]. It holds nothing: the sessions belong to the node, are opened when
// they are needed, dialling the peer if need be, and are shared by all calls to
// that service. It may be used by any number of goroutines.
type RPCClient struct {
	n   *Node
	key rpcpart.Key
}

var _ rpc.Invoker = (*RPCClient)(nil)

// Invoke makes one call. See [rpc.Invoker]; [rpc.Call] and [rpc.Items] are the
// typed forms. It waits for a session when all are in use, and for a while when
// the peer has none left; then the error is an [*rpc.RejectedError], and trying
// again later may succeed. When ctx ends, a dial made for this call alone ends, and
// the peer is told to stop a stream, a node like this one also a unary call; others
// go on with that until the deadline that they were given, since some would keep
// the session standing. Once ctx's deadline has passed, the error of a call that
// the service has not answered matches both [rpc.Timeout] and
// [context.DeadlineExceeded].
func (c *RPCClient) Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	return c.on(ctx, func(s *rpcpart.Session) (bool, error) { return s.Invoke(ctx, method, stream, encode, got) })
}

// Ping measures how long the peer takes to answer on a session with the service.
func (c *RPCClient) Ping(ctx context.Context) (took time.Duration, err error) {
	err = c.on(ctx, func(s *rpcpart.Session) (again bool, err error) {
		took, again, err = s.Ping(ctx)
		return again, err
	})
	return took, err
}

// on makes a call on a session, and again on another one as long as that had
// ended unnoticed: all that were idle may have.
func (c *RPCClient) on(ctx context.Context, call func(*rpcpart.Session) (again bool, err error)) error {
	for repeated := 0; ; repeated++ {
		s, err := c.session(ctx)
		if err != nil {
			return c.failed(ctx, err)
		}
		again, err := call(s)
		if err == nil {
			return nil
		}
		if !again || repeated > c.n.calls.Clients {
			return c.failed(ctx, err)
		}
	}
}

func (c *RPCClient) session(ctx context.Context) (*rpcpart.Session, error) {
	if s, ok := c.n.calls.IdleSession(c.key); ok {
		return s, nil
	}
	if c.n.stopping() {
		return nil, ErrClosed
	}
	gone := func() bool { return ctx.Err() != nil }
	r, err := ask[rpcpart.SessionGiven](ctx, c.n, c.n.calls.Client, rpcpart.AcquireSession{Key: c.key, Gone: gone})
	if ctx.Err() != nil && r.Session == nil {
		c.n.trunk.System().Root.Send(c.n.calls.Client, rpcpart.SessionUnwanted{Key: c.key})
	}
	return r.Session, cmp.Or(err, r.Err)
}

// failed is the error that a caller gets.
func (c *RPCClient) failed(ctx context.Context, err error) error {
	if c.n.stopping() {
		return ErrClosed
	}
	return rpcpart.CallFailed(ctx, c.n.trunk.Now(), err)
}
