package dhtpart

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// peers is the [dht.View] that the selection of peers reads: the live connections and
// the peer store.
type peers struct {
	trunk   Trunk
	noStore func(identity.NodeID) bool // may be nil
}

// Connected lists the peers with a connection, in the order of their ids.
func (v peers) Connected() []dht.Candidate {
	list := make([]dht.Candidate, 0, v.trunk.Connections().Len())
	for peer, ref := range v.trunk.Connections().All() {
		list = append(list, dht.Candidate{ID: peer, Features: ref.Features, Excluded: v.excluded(peer), NoDHT: ref.NoDHT(), NoStore: v.forgets(peer)})
	}
	slices.SortFunc(list, func(a, b dht.Candidate) int { return a.ID.Compare(b.ID) })
	return list
}

// ByID returns the known peer with an id.
func (v peers) ByID(id identity.NodeID) (dht.Candidate, bool) {
	p, ok := v.trunk.Store().Get(id)
	return v.candidate(p), ok
}

// ByKey returns the known peer with a public key.
func (v peers) ByKey(key identity.PublicKey) (dht.Candidate, bool) {
	p, ok := v.trunk.Store().ByKey(key)
	return v.candidate(p), ok
}

// nearest is how many peers Known fetches first. It is nearly always enough.
const nearest = 32

// Known calls use for each known peer, nearest to the id first, until use returns false.
// With the zero id the order is that of the store.
func (v peers) Known(near identity.NodeID, use func(dht.Candidate) bool) {
	store := v.trunk.Store()
	if near.IsZero() {
		for p := range store.All() {
			if !use(v.candidate(p)) {
				return
			}
		}
		return
	}
	for seen, n := 0, nearest; ; n *= 8 {
		list := store.Closest(near, n, nil)
		for _, p := range list[min(seen, len(list)):] {
			if !use(v.candidate(p)) {
				return
			}
		}
		if seen = len(list); seen < n {
			return
		}
	}
}

func (v peers) candidate(p peerstore.Peer) dht.Candidate {
	return dht.Candidate{
		ID: p.ID, Features: p.Features, Banned: v.trunk.Banned(p.ID) != nil, Offline: p.Offline(),
		Excluded: v.allExcluded(p), NoDHT: v.trunk.WithoutDHT(p), NoStore: v.forgets(p.ID),
	}
}

func (v peers) forgets(peer identity.NodeID) bool { return v.noStore != nil && v.noStore(peer) }

func (v peers) excluded(id identity.NodeID) bool {
	if len(v.trunk.Excluded()) == 0 {
		return false
	}
	p, _ := v.trunk.Store().Get(id)
	return v.allExcluded(p)
}

// allExcluded reports whether all addresses of the peer are excluded from dialling. A
// peer without addresses counts as excluded if the node excludes any address
// (spec: dht 5.2).
func (v peers) allExcluded(p peerstore.Peer) bool {
	return len(v.trunk.Excluded()) > 0 && !slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool {
		return !address.Excluded(v.trunk.Excluded(), a.Addr)
	})
}

// counts reports whether a peer may ban this node for a flood: its user agent does not
// name this library (spec: V28).
func (v peers) counts(id identity.NodeID) bool {
	if ref, ok := v.trunk.Connection(id); ok {
		return !useragent.Ours(ref.UserAgent)
	}
	p, _ := v.trunk.Store().Get(id)
	return !useragent.Ours(p.UserAgent)
}
