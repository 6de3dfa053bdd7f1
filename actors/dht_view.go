package actors

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// dhtView is what the selection of peers reads: the directory of connections and
// the peer store.
type dhtView struct{ env *Env }

// Connected lists the peers with a connection, in the order of their ids.
func (v dhtView) Connected() []dht.Candidate {
	list := make([]dht.Candidate, 0, v.env.Connections.Len())
	for peer, ref := range v.env.Connections.All() {
		list = append(list, dht.Candidate{ID: peer, Features: ref.Features, Excluded: v.excluded(peer), NoDHT: ref.noDHT})
	}
	slices.SortFunc(list, func(a, b dht.Candidate) int { return a.ID.Compare(b.ID) })
	return list
}

// ByID finds a known peer.
func (v dhtView) ByID(id identity.NodeID) (dht.Candidate, bool) {
	p, ok := v.env.Store.View().Get(id)
	return v.candidate(p), ok
}

// ByKey finds a known peer.
func (v dhtView) ByKey(key identity.PublicKey) (dht.Candidate, bool) {
	p, ok := v.env.Store.View().ByKey(key)
	return v.candidate(p), ok
}

// nearest is how many peers are looked at first, which is nearly always enough.
const nearest = 32

// Known calls use for known peers, those nearest to the id first.
func (v dhtView) Known(near identity.NodeID, use func(dht.Candidate) bool) {
	store := v.env.Store.View()
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

func (v dhtView) candidate(p peerstore.Peer) dht.Candidate {
	return dht.Candidate{
		ID: p.ID, Features: p.Features, Banned: v.env.banned(p.ID) != nil, Offline: p.Offline(),
		Excluded: v.allExcluded(p), NoDHT: v.noDHT(p),
	}
}

// noDHT reports whether a known peer runs without the DHT: it has said so on its
// connection, or else the last time that it was connected.
func (v dhtView) noDHT(p peerstore.Peer) bool {
	if ref, ok := v.env.Connections.Get(p.ID); ok {
		return ref.noDHT
	}
	return withoutDHT(p.UserAgent, p.Protocols)
}

func (v dhtView) excluded(id identity.NodeID) bool {
	if len(v.env.Excluded) == 0 {
		return false
	}
	p, _ := v.env.Store.View().Get(id)
	return v.allExcluded(p)
}

// allExcluded reports whether all addresses of the peer are among those never
// dialled. One without addresses counts as such as soon as there are any
// (spec: dht 5.2).
func (v dhtView) allExcluded(p peerstore.Peer) bool {
	return len(v.env.Excluded) > 0 && !slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool {
		return !address.Excluded(v.env.Excluded, a.Addr)
	})
}

// counts reports whether a peer may take what we send for a flood: any that does
// not say that it is one of ours (spec: V28).
func (v dhtView) counts(id identity.NodeID) bool {
	if ref, ok := v.env.Connections.Get(id); ok {
		return !useragent.Ours(ref.UserAgent)
	}
	p, _ := v.env.Store.View().Get(id)
	return !useragent.Ours(p.UserAgent)
}
