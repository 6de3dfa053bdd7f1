package saf

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// RegionAge is for how long a [Region] may be used before it is computed again from the
// known peers.
const RegionAge = 10 * time.Second

// ofSource is how many peers of one source count for a [Region], and of a subnet or of all
// exempt sources the share that those have.
//
// spec: V 38, 39
const ofSource = 2

// Neighbour is a peer that counts for a [Region]: a node that a dial of this node has
// reached, or a client that has proved its key on a connection, both within [VisitAge].
type Neighbour struct {
	ID     identity.NodeID
	Client bool
	Source share.Source
}

// Region is the set of ids that a node stores messages for. They are no farther from it
// than its n-th nearest node or its n-th nearest client, and n nodes at least would be among
// them if all that it has reached were spread evenly, or as the nearer half of them is. While
// it knows fewer than n nodes, or fewer than n clients, it stores for everybody. The zero
// Region holds the node's own id alone.
//
// spec: dht 8.3, V 38
type Region struct {
	self           identity.NodeID
	limit          identity.Distance
	least          float64 // distance
	bound          Bound
	nodes, clients int
}

// Bound says what the size of a [Region] comes from.
type Bound uint8

const (
	NoBound    Bound = iota // too few nodes or clients are known: everybody is in it
	ByNodes                 // the n-th nearest node
	ByClients               // the n-th nearest client
	ByDensity               // the least size
	boundCount              // how many there are
)

// String returns the bound in words.
func (b Bound) String() string {
	return [...]string{"everybody", "the nearest nodes", "the nearest clients", "the density of nodes", "unknown"}[min(b, boundCount)]
}

// MarshalText returns the same text as [Bound.String].
func (b Bound) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// idSpace is how many ids there are.
var idSpace = math.Ldexp(1, 8*identity.NodeIDLen)

// NewRegion returns the region of the node self. It looks at each peer once. Of the peers of a
// source the two nearest count.
func NewRegion(self identity.NodeID, n int, peers iter.Seq[Neighbour]) Region {
	var nodes, clients circle
	for p := range peers {
		if p.ID == self {
			continue
		}
		of := &nodes
		if p.Client {
			of = &clients
		}
		of.peers = append(of.peers, placed{self.Distance(p.ID), p.Source})
	}
	nodes.settle()
	clients.settle()
	r := Region{self: self, limit: nodes.nth(n), bound: ByNodes, nodes: len(nodes.peers), clients: len(clients.peers)}
	if far := clients.nth(n); far.Cmp(r.limit) > 0 {
		r.limit, r.bound = far, ByClients
	}
	if r.limit == identity.MaxDistance {
		r.bound = NoBound
		return r
	}
	r.least = float64(n) * nodes.spacing()
	if r.least > number(r.limit) {
		r.bound = ByDensity
	}
	return r
}

// Has reports whether the node stores messages for this id.
func (r Region) Has(id identity.NodeID) bool {
	d := r.self.Distance(id)
	return d.Cmp(r.limit) <= 0 || number(d) <= r.least
}

// Everybody reports whether the node stores messages for all ids.
func (r Region) Everybody() bool { return r.limit == identity.MaxDistance }

// RegionStats describes a [Region].
type RegionStats struct {
	Part           float64 // of all ids, at most 1
	Bound          Bound
	Nodes, Clients int // that counted
}

// Stats returns how large the region is, and by what.
func (r Region) Stats() RegionStats {
	return RegionStats{min(1, (max(number(r.limit), r.least)+1)/idSpace), r.bound, r.nodes, r.clients}
}

// String returns the size in words.
func (s RegionStats) String() string {
	if s.Bound == NoBound {
		return fmt.Sprintf("everybody, as few peers are known: nodes reached %d, clients met %d", s.Nodes, s.Clients)
	}
	return fmt.Sprintf("%.2g%% of all ids, by %v", 100*s.Part, s.Bound)
}

// placed is a peer of a circle.
type placed struct {
	distance identity.Distance
	source   share.Source
}

// circle has the nodes around a node, or the clients.
type circle struct{ peers []placed }

// settle sorts the peers by their distance, and leaves out those that their source has too
// many of.
func (c *circle) settle() {
	slices.SortFunc(c.peers, func(a, b placed) int { return a.distance.Cmp(b.distance) })
	has := make(map[share.Source]int)
	c.peers = slices.DeleteFunc(c.peers, func(p placed) bool {
		if p.source == share.None {
			return false
		}
		most := ofSource
		if p.source == share.Exempt {
			most *= share.ExemptSources
		}
		net := p.source.Subnet()
		if has[p.source] >= most || net != share.None && has[net] >= ofSource*share.Subnet {
			return true
		}
		has[p.source]++
		if net != share.None {
			has[net]++
		}
		return false
	})
}

// nth returns the n-th distance, and the maximum if there are fewer.
func (c *circle) nth(n int) identity.Distance {
	if n < 1 || len(c.peers) < n {
		return identity.MaxDistance
	}
	return c.peers[n-1].distance
}

// spacing is how many ids there are for each peer: where the density is that of the nearer
// half of them, or if all were spread evenly, whichever is more. Ids are hashes, so somebody
// who chooses many near ones changes the first number once they are half of all.
func (c *circle) spacing() float64 {
	half := (len(c.peers) + 1) / 2
	return max(number(c.peers[half-1].distance)/float64(half), idSpace/float64(len(c.peers)))
}

// number returns a distance as a number.
func number(d identity.Distance) float64 {
	b := d.Bytes()
	return math.Ldexp(float64(binary.BigEndian.Uint64(b[:8])), 64) + float64(binary.BigEndian.Uint64(b[8:]))
}
