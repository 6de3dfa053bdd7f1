package safpart

import (
	"context"
	"iter"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// region returns the ids that this node stores messages for, by the peers that it knows
// now, and the visits. It looks at all of them.
func (f *Saf) region(wall time.Time, visits []saf.Visit) saf.Region {
	return saf.NewRegion(f.trunk.Secret().PublicKey().NodeID(), f.Neighbours, f.neighbours(wall, visits))
}

// neighbours returns the peers that count for the region: nodes that a dial has reached, and
// clients that were connected, both lately.
func (f *Saf) neighbours(wall time.Time, visits []saf.Visit) iter.Seq[saf.Neighbour] {
	return func(yield func(saf.Neighbour) bool) {
		dialled := make(map[identity.NodeID]bool)
		for _, v := range visits {
			switch {
			case v.Dialled:
				dialled[v.Peer] = true
			case v.Client && f.trunk.Banned(v.Peer) == nil:
				if !yield(saf.Neighbour{ID: v.Peer, Client: true, Source: v.Source}) {
					return
				}
			}
		}
		for p := range f.trunk.Store().All() {
			seen, source := reached(&p)
			if !p.Features.IsNode() || p.Offline() || !dialled[p.ID] && (seen.IsZero() || wall.Sub(seen) > saf.VisitAge) || f.trunk.Banned(p.ID) != nil {
				continue
			}
			if !yield(saf.Neighbour{ID: p.ID, Source: source}) {
				return
			}
		}
	}
}

// reached returns when a dial has reached the peer for the last time, and the source of that
// address.
func reached(p *peerstore.Peer) (seen time.Time, source share.Source) {
	for _, a := range p.Addresses {
		if a.LastSeen.After(seen) {
			seen, source = a.LastSeen, sourceOf(a.Addr)
		}
	}
	return seen, source
}

// sourceOf returns the source that an address is of.
func sourceOf(a ma.Multiaddr) share.Source {
	from, _ := transport.Source(a)
	return share.Of(from.Addr())
}

// visit returns what is remembered of the peer of a connection.
func visit(ref *actors.ConnRef) saf.Visit {
	v := saf.Visit{Peer: ref.Peer, Source: share.Source(ref.Origin()), Client: ref.Features.IsClient()}
	if ref.Direction == protocol.Outbound {
		v.Dialled, v.Source = true, sourceOf(ref.Addr)
	}
	return v
}

// source returns where a peer is or was connected from, and whether it goes last when others have
// to make way. A peer that is not known any more is exempt.
//
// spec: V 39
func (k *keeper) source(now time.Time, peer identity.NodeID) (from share.Source, last bool) {
	if v, ok := k.visits.Lately(now, peer); ok {
		return v.Source, v.Last()
	}
	if ref, ok := k.f.trunk.Connections().Get(peer); ok {
		v := visit(ref)
		return v.Source, v.Last()
	}
	return share.Exempt, false
}

// reviewEvery is how long a visit on the disk may be behind.
const reviewEvery = time.Hour

// review notes the connections that there are, and has them noted on the disk once an hour.
func (k *keeper) review(c actor.Context) {
	now := supervisor.Now(c)
	for _, ref := range k.f.trunk.Connections().All() {
		k.visits.Connected(now, visit(ref))
	}
	k.visits.Review(now)
	supervisor.After(c, reviewEvery, reviewDue{})
	k.write(c)
}

// destination returns what this node knows about the destination of a message.
func (k *keeper) destination(now time.Time) func(identity.NodeID) saf.Destination {
	return func(id identity.NodeID) saf.Destination {
		_, known := k.f.trunk.Store().Get(id)
		_, lately := k.visits.Lately(now, id)
		return saf.Destination{Known: known, Banned: k.f.trunk.Banned(id) != nil, Lately: lately}
	}
}

// look computes the region anew in a task, if it is old. The old one counts until then.
func (k *keeper) look(c actor.Context) {
	if k.looking || supervisor.Now(c).Sub(k.looked) < saf.RegionAge {
		return
	}
	k.looking = true
	f, wall, visits := k.f, supervisor.Wall(c), k.visits.All(supervisor.Now(c))
	supervisor.Do(c, "region", func(context.Context) (saf.Region, error) { return f.region(wall, visits), nil })
}

func (k *keeper) seen(c actor.Context, m supervisor.Done[saf.Region]) {
	k.looking, k.looked = false, supervisor.Now(c)
	if m.Err == nil {
		k.rules.Region = m.Value
	}
}
