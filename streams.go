package gamelan

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/streams"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// PeerAddr is the address of one end of a stream, for [net.Conn]: a node, and the protocol. The
// RemoteAddr of a Conn of this package names the peer, whose key is proven.
type PeerAddr struct {
	Peer     identity.NodeID
	Key      identity.PublicKey
	Protocol protocol.ID
}

// Network returns "gamelan".
func (PeerAddr) Network() string { return streams.Network }

// String returns the node's public key in hexadecimal digits.
func (a PeerAddr) String() string { return a.Key.String() }

// StreamFunc handles one stream that a peer has opened. When it returns nil, the stream is closed in
// order: what was written arrives. When it returns an error or panics, the stream is reset, and
// nothing else ends; the log has at most one line a minute. ctx ends with the protocol, and when the
// stream is evicted: see [AtOnce]. When f returns, none of its goroutines may still use s.
type StreamFunc func(ctx context.Context, s *Stream) error

// WithStreams calls f for each stream that peers open to a protocol, each on a goroutine of its own.
// It is [Node.RegisterStreams] before the node accepts its first connection. For an actor of your
// own see [WithProtocol].
func WithStreams(id protocol.ID, f StreamFunc, opts ...ActorOption) Option {
	return func(o *options) error {
		new, err := streamActor(id, f, opts)
		if err != nil {
			return err
		}
		return o.add(users.Register{ID: id}, new, nil)
	}
}

// RegisterStreams calls f for each stream that peers open to a protocol, each on a goroutine of its
// own. [AtOnce] bounds how many. [Node.Unregister] ends that, and resets the streams. The id is one as for
// [Node.Register].
func (n *Node) RegisterStreams(ctx context.Context, id protocol.ID, f StreamFunc, opts ...ActorOption) error {
	new, err := streamActor(id, f, opts)
	if err != nil {
		return err
	}
	return n.Register(ctx, id, new)
}

func streamActor(id protocol.ID, f StreamFunc, opts []ActorOption) (NewActor, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	if f == nil {
		return nil, errors.New("gamelan: no function for streams; give one")
	}
	o, err := actorSettings(opts)
	switch {
	case err != nil:
		return nil, err
	case o.topic != "":
		return nil, errors.New("gamelan: On is for handlers of messages; leave it out")
	case o.onPanic != PanicRestart:
		return nil, errors.New("gamelan: a panic resets its stream and nothing else; leave OnPanic out")
	}
	s := streams.NewServer(func(ctx context.Context, m actors.SubstreamOpened, s protocol.Stream) error {
		return f(ctx, &Stream{s, m.Protocol, m.Peer, m.Key})
	}, o.atOnce)
	return func(*Node) actor.Actor { return s.New() }, nil
}

// Listener returns a [net.Listener] of the streams that peers open to a protocol, for net/http, gRPC
// and others that serve one. It registers the protocol, as [Node.Register] does, until it is closed.
// At most 128 streams wait for Accept; when there is one more, the newest of the source that has most
// is reset. A stream is a [net.Conn] whose addresses are of type [PeerAddr]: any number of goroutines may
// use it, its deadlines never end the connection with the peer, and Close waits for nothing.
func Listener(ctx context.Context, n *Node, id protocol.ID) (net.Listener, error) {
	if id == "" { // the empty id would register the handler
		return nil, id.Validate()
	}
	var l *streams.Listener
	l = streams.NewListener(n.addr(id), func(m actors.SubstreamOpened) net.Addr {
		return PeerAddr{Peer: m.Peer, Key: m.Key, Protocol: m.Protocol}
	}, func() error {
		err := n.unregister(context.Background(), users.Unregister{ID: id, By: l})
		if errors.Is(err, ErrClosed) {
			return nil
		}
		return err
	}, n.Done())
	if err := n.register(ctx, users.Register{ID: id, By: l}, func(*Node) actor.Actor { return l.New() }, nil); err != nil {
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) { // it may be registered all the same
			l.Close()
		}
		return nil, err
	}
	return l, nil
}

// DialContext opens a stream to a peer, and dials the peer if necessary. network is the id of the
// protocol. address is a public key, a node id, the first digits or the name of a known peer, or
// KEY::ADDRESS; a port behind it, as net/http adds one, is ignored. So a client of net/http dials with
//
//	DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
//		return node.DialContext(ctx, "/example/http/1", address)
//	}
//
// The stream is a [net.Conn] as those of [Listener]. The error is a [*net.OpError] that wraps one of
// [Node.OpenStream] or [Peers.Given].
func (n *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	id := protocol.ID(network)
	peer, err := n.Peers().Given(ctx, withoutPort(address), false)
	var s *Stream
	if err == nil {
		s, err = n.OpenStream(ctx, peer, id)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Source: n.addr(id), Err: err}
	}
	return streams.NewConn(s.Stream, n.addr(id), PeerAddr{Peer: s.Peer, Key: s.Key, Protocol: s.Protocol}), nil
}

// withoutPort cuts the port off that net/http has put behind a host. KEY::ADDRESS has none.
func withoutPort(address string) string {
	if strings.Contains(address, "::") {
		return address
	}
	host, _, _ := strings.Cut(address, ":")
	return host
}

func (n *Node) addr(id protocol.ID) PeerAddr {
	return PeerAddr{Peer: n.ID(), Key: n.PublicKey(), Protocol: id}
}
