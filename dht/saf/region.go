package saf

import (
	"iter"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// RegionAge is for how long a [Region] may be used before it is computed again from the
// known peers.
const RegionAge = 10 * time.Second

// Region is the set of ids that a node stores messages for: those that are no farther from it
// than its n-th nearest node or its n-th nearest client. While the node knows fewer than n
// nodes, or fewer than n clients, it stores for everybody (spec: dht 8.3). The zero
// Region holds the node's own id alone.
type Region struct {
	self  identity.NodeID
	limit identity.Distance
}

// NewRegion returns the region of the node self. Banned and offline peers do not count.
// It looks at each peer once.
func NewRegion(self identity.NodeID, n int, peers iter.Seq[dht.Candidate]) Region {
	nodes, clients := nearest{n: n}, nearest{n: n}
	for p := range peers {
		if p.Banned || p.Offline || p.ID == self {
			continue
		}
		switch d := self.Distance(p.ID); {
		case p.Features.IsNode():
			nodes.add(d)
		case p.Features.IsClient():
			clients.add(d)
		}
	}
	limit := nodes.last()
	if far := clients.last(); far.Cmp(limit) > 0 {
		limit = far
	}
	return Region{self, limit}
}

// Has reports whether the node stores messages for this id.
func (r Region) Has(id identity.NodeID) bool { return r.self.Distance(id).Cmp(r.limit) <= 0 }

// Everybody reports whether the node stores messages for all ids.
func (r Region) Everybody() bool { return r.limit == identity.MaxDistance }

// nearest keeps the n least distances, ascending.
type nearest struct {
	n    int
	list []identity.Distance
}

func (l *nearest) add(d identity.Distance) {
	if len(l.list) >= l.n && (l.n < 1 || d.Cmp(l.list[l.n-1]) >= 0) {
		return
	}
	at, _ := slices.BinarySearchFunc(l.list, d, identity.Distance.Cmp)
	l.list = slices.Insert(l.list, at, d)
	l.list = l.list[:min(len(l.list), l.n)]
}

// last returns the n-th distance, and the maximum if there are fewer.
func (l *nearest) last() identity.Distance {
	if len(l.list) < l.n || l.n < 1 {
		return identity.MaxDistance
	}
	return l.list[l.n-1]
}
