package saf

import (
	"context"
	"iter"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// region returns the ids that this node stores messages for, by the peers that it knows
// now. It looks at all of them.
func (f *Saf) region() saf.Region {
	return saf.NewRegion(f.trunk.Secret().PublicKey().NodeID(), f.Neighbours, f.known())
}

func (f *Saf) known() iter.Seq[dht.Candidate] {
	return func(yield func(dht.Candidate) bool) {
		for p := range f.trunk.Store().All() {
			c := dht.Candidate{ID: p.ID, Features: p.Features, Banned: f.trunk.Banned(p.ID) != nil, Offline: p.Offline()}
			if !yield(c) {
				return
			}
		}
	}
}

// destination returns what this node knows about the destination of a message.
func (f *Saf) destination(id identity.NodeID) saf.Destination {
	_, known := f.trunk.Store().Get(id)
	return saf.Destination{Known: known, Banned: f.trunk.Banned(id) != nil}
}

// look computes the region anew in a task, if it is old. The old one counts until then.
func (k *keeper) look(c actor.Context) {
	if k.looking || supervisor.Now(c).Sub(k.looked) < saf.RegionAge {
		return
	}
	k.looking = true
	f := k.f
	supervisor.Do(c, "region", func(context.Context) (saf.Region, error) { return f.region(), nil })
}

func (k *keeper) seen(c actor.Context, m supervisor.Done[saf.Region]) {
	k.looking, k.looked = false, supervisor.Now(c)
	if m.Err == nil {
		k.rules.Region = m.Value
	}
}
