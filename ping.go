package gamelan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

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
// answer for [mux.Config.PingTimeout] is closed.
func (n *Node) Ping(ctx context.Context, peer identity.NodeID) (Pong, error) {
	var p Pong
	_, had := n.Connection(peer)
	began := n.trunk.Now()
	conn, err := n.Dial(ctx, peer)
	if err != nil {
		return p, err
	}
	if p.Conn = conn; !had {
		p.Dial = n.trunk.Now().Sub(began)
	}
	r, err := supervisor.Ask[actors.ConnPonged](ctx, n.trunk.System(), conn.PID, actors.PingConn{})
	switch {
	case err == nil:
		err = r.Err
	case errors.Is(err, supervisor.ErrNoActor):
		err = actors.ErrConnectionClosed
	}
	if err != nil && n.stopping() {
		return p, ErrClosed
	}
	if err != nil {
		return p, fmt.Errorf("gamelan: ping %s: %w", peer, err)
	}
	p.RTT = r.RTT
	return p, nil
}
