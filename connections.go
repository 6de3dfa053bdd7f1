package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Connection describes a live connection.
type Connection = actors.ConnRef

// Connections returns the live connections, ordered by peer.
func (n *Node) Connections() []*Connection { return n.trunk.AllConnections() }

// Connection returns the connection to a peer, if there is one.
func (n *Node) Connection(peer identity.NodeID) (*Connection, bool) {
	return n.trunk.Connections().Get(peer)
}

// Dial returns the connection to a peer, and makes one if there is none. It dials no
// banned peer. The error is [ErrClosed], ctx's, or an [*DialError], which lists the
// attempts. When ctx ends, the dial ends too, unless another caller waits for the peer or
// the handshake has begun.
func (n *Node) Dial(ctx context.Context, peer identity.NodeID) (*Connection, error) {
	if ref, ok := n.trunk.Connections().Get(peer); ok {
		if _, _, banned := n.trunk.Ban(peer); !banned {
			return ref, nil
		}
	}
	for {
		token := n.trunk.NewID()
		r, err := ask[actors.PeerDialed](ctx, n, n.trunk.Dialer(), actors.DialPeer{Token: token, Peer: peer})
		if err != nil { // nobody waits for the answer any more
			n.trunk.System().Root.Send(n.trunk.Dialer(), actors.CancelDial{Peer: peer, Token: token})
		}
		err = cmp.Or(err, r.Err)
		switch {
		case err == nil:
			return r.Conn, nil
		case n.stopping():
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
		now, ok := n.trunk.Connections().Get(peer)
		if ok && ref == nil {
			ref = now
			why := actors.CloseReason{Code: actors.CloseRequested, By: "us"}
			n.trunk.System().Root.Send(n.trunk.Conns(), actors.CloseConn{Peer: peer, Conn: ref.ID, Reason: why})
		}
		return !ok || now.ID != ref.ID
	})
	return peerError("disconnect", peer, err)
}

// Protect keeps a peer connected until unprotect is called: the node dials the peer,
// dials it again whenever the connection ends, and never closes the connection to make
// room. The command gamelan conns shows the tag, which should name the reason.
func (n *Node) Protect(peer identity.NodeID, tag string) (unprotect func()) {
	tag = fmt.Sprintf("%s-%d", tag, n.trunk.NewID())
	n.trunk.System().Root.Send(n.trunk.Connectivity(), actors.ProtectPeer{Peer: peer, Tag: tag})
	return sync.OnceFunc(func() {
		n.trunk.System().Root.Send(n.trunk.Connectivity(), actors.UnprotectPeer{Peer: peer, Tag: tag})
	})
}

// Status returns the node's state, and its cause in words.
func (n *Node) Status(ctx context.Context) (Status, error) {
	return ask[actors.Status](ctx, n, n.trunk.Connectivity(), actors.GetStatus{})
}

// Reachability returns whether others can connect to this node at the addresses that it tells them,
// and at others where connected nodes see it. It is empty for a node that does not find out: see
// [ReachConfig].
func (n *Node) Reachability() []Reachability {
	if n.reach == nil {
		return nil
	}
	return n.reach.Verdicts()
}

// LookAtAddresses has the node look at the addresses of its machine at once, which it does every 2 s,
// and ask connected nodes again whether they can connect to it.
func (n *Node) LookAtAddresses() {
	if n.reach != nil {
		n.reach.Look()
	}
}

// WaitOnline waits until at least that many peers are connected.
func (n *Node) WaitOnline(ctx context.Context, connections int) error {
	err := n.events.Await(ctx, ErrClosed, func() bool { return n.trunk.Connections().Len() >= connections })
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("gamelan: %d of %d connections: %w; dial or protect peers that can be reached", n.trunk.Connections().Len(), connections, err)
}
