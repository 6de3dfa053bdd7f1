package dialling

import (
	"context"
	"crypto/rand"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Probe finds out whether a node with a key, or with whatever key if that is zero, is at an address.
// It connects, has the node prove its key, which it returns, and ends the connection. It has a key of its own, so
// that connections between the two nodes stay as they are. It takes at most limit, or as long as the
// transport says; the dial of a real connection may take longer.
//
// An address of a stranger's claim is tried as a dial would try it: only public IP addresses are connected to.
func (r *Room) Probe(ctx context.Context, to ma.Multiaddr, key identity.PublicKey, limit time.Duration) (proven identity.PublicKey, err error) {
	if r.Draining.Load() != nil {
		return proven, actors.ErrDraining
	}
	t := r.transportFor(to)
	if t == nil {
		return proven, &transport.DialError{Addr: to, Stage: transport.StageAddress, Err: transport.ErrUnsupported}
	}
	if l, ok := t.(transport.DialLimiter); ok {
		limit = max(limit, l.DialLimit(to))
	}
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return proven, err
	}
	connecting, cancel := context.WithTimeout(transport.WithPeer(ctx, key.NodeID()), limit)
	defer cancel()
	conn, err := r.connectTo(connecting, t, r.targetOf(to, key))
	if err != nil {
		return proven, err
	}
	cfg := r.needs.UpgradeConfig(conn)
	cfg.Secret = secret
	proven, _, err = upgrade.Prove(ctx, conn, cfg, key)
	return proven, err
}

// targetOf returns an address as a dial of the peer with a key would try it. One that is not stored was given by
// the user.
func (r *Room) targetOf(to ma.Multiaddr, key identity.PublicKey) target {
	if p, ok := r.needs.Records().Get(key.NodeID()); ok {
		list, _ := r.dialable(p, nil)
		for _, x := range list {
			if x.addr.Equal(to) {
				return x
			}
		}
	}
	return target{addr: to}
}

// Probeable returns the addresses of a peer that a dial would try, those that are given first, or why there
// is none.
func (r *Room) Probeable(p peerstore.Peer, given []ma.Multiaddr) (addrs []ma.Multiaddr, err error) {
	offered := make([]peerbook.GivenAddress, 0, len(given))
	for _, a := range given {
		offered = append(offered, peerbook.GivenAddress{Addr: a, At: r.Now()})
	}
	list, err := r.dialable(p, offered)
	for _, x := range list {
		if r.transportFor(x.addr) != nil {
			addrs = append(addrs, x.addr)
		}
	}
	if err == nil && len(addrs) == 0 {
		err = actors.ErrNoAddress
	}
	return addrs, err
}

// LastAttempts returns the remembered attempts at the addresses of a peer, the last one last.
func (r *Room) LastAttempts(peer identity.NodeID) []actors.DialAttempt {
	list, _ := r.Dials.Get(peer)
	return list
}
