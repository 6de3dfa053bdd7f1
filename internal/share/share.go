// Package share says who makes way in something that is full, so that a stranger with many
// keys has no more of it than one with a single key.
//
// Everything that strangers can fill is shared by source before key. A share is no limit while
// there is room. When all is full, the source that has most makes way, within it the key that has
// most, and of equals the newest. A subnet, a /24 or a /48, counts as [Subnet] sources. All exempt
// sources together count as [ExemptSources].
//
// spec: V 39
package share

import (
	"cmp"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/queue"
)

const (
	// Subnet is how many times the share of a source that of its subnet is.
	Subnet = 4
	// ExemptSources is how many times the share of a source that of all exempt ones together is.
	ExemptSources = 16
)

// LastAfter is how long somebody must have been served to make way last.
const LastAfter = time.Hour

// Holder is who holds something.
type Holder[K comparable] struct {
	Source Source
	Key    K
	// Last says that the holder makes way only when nobody else has anything: this node has
	// reached it by a dial, or has served it for [LastAfter]. One holder may have both kinds.
	Last bool
}

// Shares count what each holder has. The zero Shares is ready to use. It is not safe for
// concurrent use. All methods take logarithmic time.
type Shares[K comparable] struct {
	ranks  [2]rank[K] // by Holder.Last
	serial uint64
}

// rank has the holders of one rank.
type rank[K comparable] struct {
	nodes map[id[K]]*node[K]
	most  queue.Queue[*node[K]] // sources and subnets
}

// id names a node.
type id[K comparable] struct {
	level  uint8
	source Source
	key    K // zero for a subnet, and for a source other than None
}

const (
	atSubnet uint8 = iota
	atSource
	atKey
)

// node is a subnet, a source or a key that has something.
type node[K comparable] struct {
	id      id[K]
	parent  *node[K]
	has     int64
	factor  int64  // pressure is has × factor
	serial  uint64 // of when it came
	within  queue.Queue[*node[K]]
	place   int // in within of its parent
	overall int // in most of its rank
}

func (n *node[K]) pressure() int64 { return n.has * n.factor }

// moreOf orders nodes by what they have; of equals the newest comes first.
func moreOf[K comparable](a, b *node[K]) bool {
	if x, y := a.pressure(), b.pressure(); x != y {
		return x > y
	}
	return a.serial > b.serial
}

// Add counts n more, or less if n is negative, of a holder. A holder with nothing is forgotten.
func (s *Shares[K]) Add(h Holder[K], n int64) {
	r := s.rank(h)
	r.init()
	s.serial++
	var parent *node[K]
	if net := h.Source.Subnet(); net != 0 {
		parent = r.node(id[K]{level: atSubnet, source: net}, nil, ExemptSources, s.serial)
	}
	factor := int64(Subnet * ExemptSources)
	if h.Source == Exempt {
		factor = Subnet
	}
	parent = r.node(h.sourceID(), parent, factor, s.serial)
	r.count(r.node(h.keyID(), parent, 1, s.serial), n, false)
}

// sourceID names the node of the holder's source.
func (h Holder[K]) sourceID() id[K] {
	of := id[K]{level: atSource, source: h.Source}
	if h.Source == None {
		of.key = h.Key
	}
	return of
}

// keyID names the node of the holder's key.
func (h Holder[K]) keyID() id[K] { return id[K]{level: atKey, source: h.Source, key: h.Key} }

func (s *Shares[K]) rank(h Holder[K]) *rank[K] {
	if h.Last {
		return &s.ranks[1]
	}
	return &s.ranks[0]
}

// Move counts n of one holder for another one, such as the same key after it has been served for
// long. A holder that stays the same keeps its place among equals.
func (s *Shares[K]) Move(from, to Holder[K], n int64) {
	if from != to {
		s.Add(from, -n)
		s.Add(to, n)
	}
}

// Lend takes n of a holder for a while, to find out who would make way next. A holder with nothing
// left keeps its place among equals until all of it is given back with Add.
func (s *Shares[K]) Lend(h Holder[K], n int64) {
	r := s.rank(h)
	r.count(r.nodes[h.keyID()], -n, true)
}

// Most returns the holder that makes way; ok is false if nobody has anything. Add what is new
// before: if its own holder is returned, nobody else makes way for it.
func (s *Shares[K]) Most() (h Holder[K], ok bool) {
	for i := range s.ranks {
		r := &s.ranks[i]
		if n := r.most.First(); n != nil && n.has > 0 {
			for n.within.Len() > 0 {
				n = n.within.First()
			}
			return Holder[K]{n.id.source, n.id.key, i == 1}, true
		}
	}
	return h, false
}

// Weight is what a holder and its source have, for a choice among some of the holders: the one
// with the greatest weight makes way.
type Weight struct {
	pressure, source, key int64
}

// Weight returns the weight of a holder among those of its rank.
func (s *Shares[K]) Weight(h Holder[K]) (w Weight) {
	r := s.rank(h)
	if n := r.nodes[h.sourceID()]; n != nil {
		w.source, w.pressure = n.pressure(), n.pressure()
		if n.parent != nil {
			w.pressure = max(w.pressure, n.parent.pressure())
		}
	}
	if n := r.nodes[h.keyID()]; n != nil {
		w.key = n.has
	}
	return w
}

// Compare orders weights: by source with its subnet, then by source, then by key.
func (w Weight) Compare(o Weight) int {
	return cmp.Or(cmp.Compare(w.pressure, o.pressure), cmp.Compare(w.source, o.source), cmp.Compare(w.key, o.key))
}

// CompareSources is Compare without the keys.
func (w Weight) CompareSources(o Weight) int {
	w.key, o.key = 0, 0
	return w.Compare(o)
}

// Source returns how much a source has; of [None] nothing.
func (s *Shares[K]) Source(source Source) (has int64) {
	for i := range s.ranks {
		if n := s.ranks[i].nodes[id[K]{level: atSource, source: source}]; n != nil && source != None {
			has += n.has
		}
	}
	return has
}

// Key returns how much a key of a source has.
func (s *Shares[K]) Key(source Source, key K) (has int64) {
	for i := range s.ranks {
		if n := s.ranks[i].nodes[id[K]{level: atKey, source: source, key: key}]; n != nil {
			has += n.has
		}
	}
	return has
}

func (r *rank[K]) init() {
	if r.nodes == nil {
		r.nodes = make(map[id[K]]*node[K])
		r.most = queue.New(moreOf[K], func(n *node[K]) *int { return &n.overall })
	}
}

func (r *rank[K]) node(of id[K], parent *node[K], factor int64, serial uint64) *node[K] {
	n := r.nodes[of]
	if n != nil {
		return n
	}
	n = &node[K]{id: of, parent: parent, factor: factor, serial: serial}
	n.within = queue.New(moreOf[K], func(n *node[K]) *int { return &n.place })
	r.nodes[of] = n
	if parent != nil {
		parent.within.Add(n)
	}
	if of.level != atKey {
		r.most.Add(n)
	}
	return n
}

// count adds to a key, and to all that it is in. It drops what has nothing then, unless lent.
func (r *rank[K]) count(n *node[K], more int64, lent bool) {
	for ; n != nil; n = n.parent {
		n.has += more
		if n.has < 0 {
			panic("share: a holder gives back more than it has")
		}
		if n.parent != nil {
			n.parent.within.Moved(n)
		}
		if n.id.level != atKey {
			r.most.Moved(n)
		}
		if n.has == 0 && !lent {
			r.drop(n)
		}
	}
}

func (r *rank[K]) drop(n *node[K]) {
	delete(r.nodes, n.id)
	if n.parent != nil {
		n.parent.within.Remove(n)
	}
	if n.id.level != atKey {
		r.most.Remove(n)
	}
}
