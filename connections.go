package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/streams"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Connection describes a live connection.
type Connection = actors.ConnRef

// Connections returns the live connections, ordered by peer.
func (n *Node) Connections() []*Connection { return n.e.Trunk.AllConnections() }

// Connection returns the connection to a peer, if there is one.
func (n *Node) Connection(peer identity.NodeID) (*Connection, bool) {
	return n.e.Trunk.Connections().Get(peer)
}

// Dial returns the connection to a peer, and makes one if there is none. It dials no
// banned peer. The error is [ErrClosed], ctx's, or an [*DialError], which lists the
// attempts. When ctx ends, the dial ends too, unless another caller waits for the peer or
// the handshake has begun.
func (n *Node) Dial(ctx context.Context, peer identity.NodeID) (*Connection, error) {
	if ref, ok := n.e.Trunk.Connections().Get(peer); ok {
		if _, _, banned := n.e.Trunk.Ban(peer); !banned {
			return ref, nil
		}
	}
	for {
		token := n.e.Trunk.NewID()
		r, err := assemble.Ask[dialling.PeerDialed](ctx, n.e, n.e.Trunk.Dialer(), dialling.DialPeer{Token: token, Peer: peer})
		if err != nil { // nobody waits for the answer any more
			n.e.Trunk.System().Root.Send(n.e.Trunk.Dialer(), dialling.CancelDial{Peer: peer, Token: token})
		}
		err = cmp.Or(err, r.Err)
		switch {
		case err == nil:
			return r.Conn, nil
		case n.e.Stopping():
			return nil, ErrClosed
		case errors.Is(err, actors.ErrDialCancelled) && ctx.Err() == nil: // the dialer was restarted
			continue
		case r.Err != nil:
			return nil, r.Err
		}
		return nil, fmt.Errorf("gamelan: dial peer %s: %w", peer, err)
	}
}

// DialAt is [Node.Dial] of a peer at the addresses in text, KEY::ADDRESS[::ADDRESS…] in the
// form of [Node.Seed]. They are tried first, then those that the node knows. The node
// stores the address that works, and none before: see [Peers.Offer]. An [*DialError] has
// the error of the given addresses, and lists the attempts at the others as well. If the
// peer is connected already, DialAt returns that connection, wherever it leads to.
func (n *Node) DialAt(ctx context.Context, text string) (*Connection, error) {
	peer, err := n.Peers().Offer(ctx, text)
	if err != nil {
		return nil, err
	}
	return n.Dial(ctx, peer)
}

// Disconnect closes the connection to a peer in order, if there is one, and returns when
// it is closed. Before that it waits up to two seconds for messages already written to be
// confirmed. A protected peer is dialled again.
func (n *Node) Disconnect(ctx context.Context, peer identity.NodeID) error {
	var ref *Connection
	err := n.events.Await(ctx, ErrClosed, func() bool {
		now, ok := n.e.Trunk.Connections().Get(peer)
		if ok && ref == nil {
			ref = now
			why := actors.CloseReason{Code: actors.CloseRequested, By: "us"}
			n.e.Trunk.System().Root.Send(n.e.Trunk.Conns(), connections.CloseConn{Peer: peer, Conn: ref.ID, Reason: why})
		}
		return !ok || now.ID != ref.ID
	})
	return peerError("disconnect", peer, err)
}

// Protect keeps a peer connected until unprotect is called: the node dials the peer,
// dials it again whenever the connection ends, and never closes the connection to make
// room. The command gamelan conns shows the tag, which should name the reason.
func (n *Node) Protect(peer identity.NodeID, tag string) (unprotect func()) {
	tag = fmt.Sprintf("%s-%d", tag, n.e.Trunk.NewID())
	n.e.Trunk.System().Root.Send(n.e.Trunk.Connectivity(), connectivity.ProtectPeer{Peer: peer, Tag: tag})
	return sync.OnceFunc(func() {
		n.e.Trunk.System().Root.Send(n.e.Trunk.Connectivity(), connectivity.UnprotectPeer{Peer: peer, Tag: tag})
	})
}

// Status returns the node's state, and its cause in words.
func (n *Node) Status(ctx context.Context) (Status, error) {
	return n.e.Status(ctx)
}

// Reachability returns whether others can connect to this node at the addresses that it tells them,
// and at others where connected nodes see it. It is empty for a node that does not find out: see
// [ReachConfig].
func (n *Node) Reachability() []Reachability {
	if n.e.Reach == nil {
		return nil
	}
	return n.e.Reach.Verdicts()
}

// LookAtAddresses has the node look at the addresses of its machine at once, which it does every 2 s,
// and ask connected nodes again whether they can connect to it.
func (n *Node) LookAtAddresses() {
	if n.e.Reach != nil {
		n.e.Reach.Look()
	}
}

// WaitOnline waits until at least that many peers are connected.
func (n *Node) WaitOnline(ctx context.Context, connections int) error {
	err := n.events.Await(ctx, ErrClosed, func() bool { return n.e.Trunk.Connections().Len() >= connections })
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("gamelan: %d of %d connections: %w; dial or protect peers that can be reached", n.e.Trunk.Connections().Len(), connections, err)
}

// Pong is the answer to [Node.Ping].
type Pong struct {
	RTT  time.Duration // the round trip over the connection
	Conn *Connection   // the connection that was used
	Dial time.Duration // how long the dial took that made the connection; 0: there was one already
}

// Ping measures the round trip to a peer. It pings the peer's node over the connection
// with it, which it makes if there is none, as [Node.Dial] does. The program of the peer
// has no part in the answer; for that see [DHT.Ping].
//
// The error is that of Dial, ctx's, [ErrClosed], or says that the connection ended before
// the answer came, or that 100 pings of the peer wait already. A connection on which a ping stays without an
// answer for [MuxConfig].PingTimeout is closed.
func (n *Node) Ping(ctx context.Context, peer identity.NodeID) (Pong, error) {
	var p Pong
	_, had := n.Connection(peer)
	began := n.e.Trunk.Now()
	conn, err := n.Dial(ctx, peer)
	if err != nil {
		return p, err
	}
	if p.Conn = conn; !had {
		p.Dial = n.e.Trunk.Now().Sub(began)
	}
	r, err := supervisor.Ask[connections.ConnPonged](ctx, n.e.Trunk.System(), conn.PID, connections.PingConn{})
	switch {
	case err == nil:
		err = r.Err
	case errors.Is(err, supervisor.ErrNoActor):
		err = actors.ErrConnectionClosed
	}
	if err != nil && n.e.Stopping() {
		return p, ErrClosed
	}
	if err != nil {
		return p, fmt.Errorf("gamelan: ping %s: %w", peer, err)
	}
	p.RTT = r.RTT
	return p, nil
}

// Stream is a substream that this node has opened, and its protocol.
type Stream struct {
	protocol.Stream
	Protocol protocol.ID
	Peer     identity.NodeID
	Key      identity.PublicKey // of the peer
}

// openTries is how many connections OpenStream tries, because a connection that is still
// listed may have ended already.
const openTries = 3

// OpenStream opens a substream to a peer, and dials the peer if necessary. The substream
// has the first of the protocols that the peer accepts. The caller must Close it. ctx
// bounds only the opening: the stream stays open when ctx ends. Bound reads and writes
// with SetDeadline, or close the stream when a context ends:
//
//	defer context.AfterFunc(ctx, func() { stream.Close() })()
//
// The name of the protocol leaves with the first Write, or alone within a millisecond if the peer
// reads. So on a connection that was lost a moment ago that Write fails, not OpenStream. From a peer that
// has withdrawn the protocol a moment ago the first Read fails.
//
// The error is one of [Node.Dial]; [ErrUnsupported] if the peer accepts none of
// the protocols, with the list of those that the peer has announced;
// [ErrOverloaded] if too many callers wait for a substream on the connection;
// [ErrConnectionClosed]; or ctx's.
func (n *Node) OpenStream(ctx context.Context, peer identity.NodeID, ids ...protocol.ID) (*Stream, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("gamelan: open stream to peer %s: no protocol was named; name at least one", peer)
	}
	for try := 1; ; try++ {
		ref, err := n.Dial(ctx, peer)
		var s *Stream
		switch {
		case err == nil:
			s, err = n.openOn(ctx, ref, ids)
		case !errors.Is(err, actors.ErrConnectionClosed) || try == openTries:
			return nil, err
		}
		switch {
		case err == nil:
			return s, nil
		case n.e.Stopping():
			return nil, ErrClosed
		case !errors.Is(err, actors.ErrConnectionClosed) || try == openTries:
			return nil, peerError("open stream to", peer, err)
		}
	}
}

func (n *Node) openOn(ctx context.Context, ref *Connection, ids []protocol.ID) (*Stream, error) {
	m := connections.NewOpenSubstream(n.e.Trunk.System(), 0, nil, ids...)
	m.Held = true
	r, err := supervisor.Ask[any](ctx, n.e.Trunk.System(), ref.PID, m)
	switch {
	case errors.Is(err, supervisor.ErrNoActor):
		return nil, actors.ErrConnectionClosed
	case err != nil:
		return nil, err
	}
	switch r := r.(type) {
	case actors.SubstreamOpened:
		if s, ok := r.Stream.Take(); ok {
			if len(ids) == 1 {
				s = streams.Held(s, ref, r.Protocol)
			}
			return &Stream{s, r.Protocol, r.Peer, r.Key}, nil
		}
	case connections.SubstreamFailed:
		return nil, r.Err
	}
	return nil, actors.ErrConnectionClosed
}

// SetSecrets changes the secrets of the private network ([Config].Private) while the node runs: it dials
// with secret from now on, and lets in who has secret or accept; a nil accept is none. Connections that
// were set up with another secret are closed, within two seconds. To change the secret of a network without a gap, let every node accept the new one
// first, then have every node dial with it and accept the old one, and give the old one up when none
// uses it any more. The error says why the node cannot have these secrets, and nothing has changed. The change is an event of
// the node, with the digits of the secrets ([protocol.NetworkSecret.Digits]).
func (n *Node) SetSecrets(secret, accept *protocol.NetworkSecret) error {
	if err := n.e.Trunk.SetSecrets(secret, accept); err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	n.Inspection().Acted("admin.network.secrets dials=" + secret.Digits() + " accepts=" + cmp.Or(accept.Digits(), "none"))
	return nil
}
