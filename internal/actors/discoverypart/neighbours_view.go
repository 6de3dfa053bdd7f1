package discoverypart

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// setsView answers what the machine of the sets asks about peers.
type setsView struct {
	d    *Discovery
	self identity.NodeID
}

// Closest asks the store, which looks at the nearest records only.
func (v setsView) Closest(target identity.NodeID, n int, ok func(peer identity.NodeID, cooling bool) bool) []identity.NodeID {
	wall := v.d.trunk.Wall()
	found := v.d.trunk.Store().Closest(target, n, func(p peerstore.Peer) bool {
		return v.fit(&p, wall) && ok(p.ID, v.cooling(&p, wall)) && v.reachable(&p)
	})
	ids := make([]identity.NodeID, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	return ids
}

// fit reports whether a peer may be in a set, as far as its addresses do not matter. It
// must not use the store.
//
// spec: dht 10.2
func (v setsView) fit(p *peerstore.Peer, wall time.Time) bool {
	t := v.d.trunk
	return p.ID != v.self && !p.Key.IsZero() && p.Features.IsNode() && !p.Banned(wall) && !t.Allowed(p.ID) && !t.WithoutDHT(*p)
}

// reachable reports whether a peer is connected or can be dialled, and not excluded by its
// addresses.
func (v setsView) reachable(p *peerstore.Peer) bool {
	err := v.d.trunk.Dialable(*p)
	return err == nil || !errors.Is(err, actors.ErrExcluded) && v.Connected(p.ID)
}

// cooling reports whether no address of the peer could be reached of late.
func (v setsView) cooling(p *peerstore.Peer, wall time.Time) bool {
	since := p.OfflineSince()
	return !since.IsZero() && !since.After(wall) && wall.Sub(since) < v.d.Cooldown
}

func (v setsView) Eligible(peer identity.NodeID) bool {
	p, ok := v.d.trunk.Store().Get(peer)
	return ok && v.fit(&p, v.d.trunk.Wall()) && v.reachable(&p)
}

func (v setsView) Connected(peer identity.NodeID) bool {
	_, ok := v.d.trunk.Connection(peer)
	return ok
}

func (v setsView) KeptOpen(peer identity.NodeID) bool {
	t := v.d.trunk
	ref, ok := t.Connection(peer)
	return ok && ref.Calling() || t.Protected(peer) || t.Allowed(peer) || len(t.KeepOpenTags(peer)) > 0
}
