package dialling

import (
	"context"
	"errors"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// target is an address to dial.
type target struct {
	addr ma.Multiaddr
	// public permits only a connection to a public IP address. It is set for an address
	// that the user has not given, unless the network is one for tests.
	public bool
	// strange is set for such an address if only strangers have caused the dial.
	strange bool
	// offered is set for an address of an offer.
	offered bool
}

// choice is an address that may be dialled.
type choice struct {
	target
	fresh bool              // the user has given it, and it was not tried since
	stats peerstore.Address // with the attempts that the store does not have
}

// dialable returns the addresses of a peer to try: first those that the user has just
// given, of them those of an offer, then the others, both in the order of
// [peerstore.Address.Compare]. It omits addresses that are excluded or lead to this node
// (comms 16).
func (r *Room) dialable(peer peerstore.Peer, offered []peerbook.GivenAddress) ([]target, error) {
	excluded, own := false, false
	given := r.needs.Given(peer.ID)
	last := r.lastAttempts(peer.ID)
	list := make([]choice, 0, len(offered)+len(peer.Addresses))
	for _, g := range offered {
		switch {
		case r.own(g.Addr):
			own = true
			continue
		case address.Excluded(r.Excluded, g.Addr):
			excluded = true
			continue
		}
		x := choice{target: target{addr: g.Addr, offered: true}, fresh: !last.triedAfter(g), stats: peerstore.Address{Addr: g.Addr}}
		if i := slices.IndexFunc(peer.Addresses, func(a peerstore.Address) bool { return a.Addr.Equal(g.Addr) }); i >= 0 {
			x.stats = peer.Addresses[i]
		}
		list = append(list, x)
	}
	for _, a := range peer.Addresses {
		i := slices.IndexFunc(given, func(g peerbook.GivenAddress) bool { return g.Addr.Equal(a.Addr) })
		switch {
		case slices.ContainsFunc(offered, func(g peerbook.GivenAddress) bool { return g.Addr.Equal(a.Addr) }):
		case !address.Usable(a.Addr, r.Profile.TestAddresses) && a.Source != peerstore.Config:
		case r.own(a.Addr):
			own = true
		case address.Excluded(r.Excluded, a.Addr):
			excluded = true
		default:
			claimed := a.Source != peerstore.Config && i < 0
			list = append(list, choice{
				target: target{addr: a.Addr, public: claimed && !r.Profile.TestAddresses},
				fresh:  i >= 0 && !last.triedAfter(given[i]),
				stats:  a,
			})
		}
	}
	now := r.Wall()
	for i := range list {
		last.addTo(&list[i].stats, r.OnWall)
	}
	slices.SortStableFunc(list, func(a, b choice) int {
		switch x, y := a.rank(), b.rank(); {
		case x != y:
			return x - y
		default:
			return a.stats.Compare(b.stats, now)
		}
	})
	addrs := make([]target, len(list))
	for i, x := range list {
		addrs[i] = x.target
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case own && !excluded:
		return nil, ownAddressesError{}
	case own || excluded:
		return nil, actors.ErrExcluded
	}
	return nil, actors.ErrNoAddress
}

// rank is 0 for an address of a new offer, 1 for another one that was just given, and 2
// for all others.
func (x choice) rank() int {
	switch {
	case x.fresh && x.offered:
		return 0
	case x.fresh:
		return 1
	}
	return 2
}

// attempts has the last attempt at each address of a peer, as far as they are remembered.
type attempts map[string]actors.DialAttempt // by the bytes of the address

func (r *Room) lastAttempts(peer identity.NodeID) attempts {
	all, _ := r.Dials.Get(peer)
	last := make(attempts, len(all))
	for _, a := range all {
		last[string(a.Addr.Bytes())] = a
	}
	return last
}

// triedAfter reports whether an attempt at an address has ended since it was given.
func (l attempts) triedAfter(g peerbook.GivenAddress) bool {
	a, ok := l[string(g.Addr.Bytes())]
	return ok && a.At.Add(a.Took).After(g.At)
}

// cutShort is how long an attempt at an address that was once reached must have lasted to
// count as tried although it was cut off.
const cutShort = time.Second

// addTo adds to the statistics of an address an attempt that they lack: one that was cut
// off, which says nothing about the address but that others have their turn first; or one
// at an address that is not stored.
func (l attempts) addTo(a *peerstore.Address, onWall func(time.Time) time.Time) {
	x, ok := l[string(a.Addr.Bytes())]
	if !ok || x.Err == nil || !a.LastSeen.IsZero() && x.Took < cutShort && errors.Is(x.Err, context.Canceled) {
		return
	}
	if at := onWall(x.At); at.After(a.LastAttempted) {
		a.LastAttempted = at
	}
}
