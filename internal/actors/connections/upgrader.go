package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

var errStarting = errors.New("actors: this node is starting, and has connections when all its actors work")

// UpgradeConfig returns the settings of an upgrade, for both roles.
func (r *Room) UpgradeConfig(c transport.Conn) upgrade.Config {
	limits := r.Mux
	if direct(c) != nil {
		limits = limits.Direct()
	}
	return upgrade.Config{
		Profile: r.Wire(),
		Secret:  r.Secret,
		Local:   r.Identity,
		Check:   r.checkKey,
		Mux:     limits,
		Hold:    true,
		Now:     r.Now,
		Wall:    r.Wall,
	}
}

// Announced waits until the node has an identity message to show: a peer would ban it for one
// without an address. Most nodes have it before they listen; one that is reached through an
// onion service alone has it when the service is published (spec: comms 7.4, 13.3). It waits for
// [Room.Whole], too.
func (r *Room) Announced(ctx context.Context) error {
	if _, err := r.Whole.Wait(ctx); err != nil {
		return fmt.Errorf("%w: %w", errStarting, err)
	}
	if _, err := r.Local.Wait(ctx); err != nil {
		return fmt.Errorf("%w: %w", actors.ErrNotAnnounced, err)
	}
	return nil
}

// Upgraded returns what an upgrade has resulted in, for conns. Acknowledgements may wait from now
// on where the peer does not wait for them (spec: V 45).
func (r *Room) Upgraded(res *upgrade.Result, c transport.Conn, via string, d protocol.Direction) Upgraded {
	if useragent.Ours(res.Message.UserAgent) && !r.forwarded(c) {
		if acks, ok := direct(c).(transport.AckDelayer); ok {
			acks.DelayAcks()
		}
	}
	peer := res.Peer.NodeID()
	local, _ := transport.IP(c.LocalMultiaddr())
	return Upgraded{
		Peer: peer, Key: res.Peer, Message: res.Message, Told: res.Told, Addr: c.RemoteMultiaddr(), Transport: via,
		Direction: d, Timings: res.Timings, Began: r.Now().Add(-res.Timings.Total()), Session: supervisor.Hand(res.Session, actors.Origin{Peer: peer}), flight: direct(c), remote: c.RemoteMultiaddr(), local: local, secret: res.Secret,
	}
}

// forwarded reports whether a connection is with this machine although the node announces no
// address there: then with Tor or another forwarder, as a rule, which may wait for
// acknowledgements (spec: V 45).
func (r *Room) forwarded(c transport.Conn) bool {
	if ip, ok := transport.IP(c.RemoteMultiaddr()); !ok || !ip.IsLoopback() {
		return false
	}
	return !slices.ContainsFunc(r.Addresses(), func(a ma.Multiaddr) bool {
		ip, ok := transport.IP(a)
		return ok && ip.IsLoopback()
	})
}
