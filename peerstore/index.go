package peerstore

import (
	"encoding/binary"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// index holds the records by node id: one sorted list per first byte, so that
// an insertion moves little and the ids that share the longest prefix with a
// target lie side by side. A record is never changed, only replaced.
type index struct {
	lists [256][]slot
	n     int
}

// slot is an id as two machine words, and its record.
type slot struct {
	hi, lo uint64
	peer   *Peer
}

func words(id identity.NodeID) (hi, lo uint64) {
	return binary.BigEndian.Uint64(id[:8]), uint64(binary.BigEndian.Uint32(id[8:12]))<<32 | uint64(id[12])<<24
}

// search returns the index of id in its list, or the index at which to insert it.
func (x *index) search(id identity.NodeID) (at int, found bool) {
	hi, lo := words(id)
	list := x.lists[id[0]]
	i, j := 0, len(list)
	for i < j {
		m := int(uint(i+j) >> 1)
		if s := &list[m]; s.hi < hi || s.hi == hi && s.lo < lo {
			i = m + 1
		} else {
			j = m
		}
	}
	return i, i < len(list) && list[i].hi == hi && list[i].lo == lo
}

func (x *index) get(id identity.NodeID) *Peer {
	if i, ok := x.search(id); ok {
		return x.lists[id[0]][i].peer
	}
	return nil
}

func (x *index) put(p *Peer) {
	i, ok := x.search(p.ID)
	list := &x.lists[p.ID[0]]
	if ok {
		(*list)[i].peer = p
		return
	}
	hi, lo := words(p.ID)
	*list = slices.Insert(*list, i, slot{hi, lo, p})
	x.n++
}

func (x *index) remove(id identity.NodeID) bool {
	i, ok := x.search(id)
	if ok {
		x.lists[id[0]] = slices.Delete(x.lists[id[0]], i, i+1)
		x.n--
	}
	return ok
}

// all returns every record in the order of the ids.
func (x *index) all() []*Peer {
	list := make([]*Peer, 0, x.n)
	for i := range x.lists {
		for j := range x.lists[i] {
			list = append(list, x.lists[i][j].peer)
		}
	}
	return list
}

// leaf is the length up to which a list is sorted by distance rather than divided
// further.
const leaf = 24

// nearest collects records in the order of their distance to a target.
type nearest struct {
	hi, lo uint64
	want   int
	filter func(Peer) bool
	found  []Peer
}

// closest returns up to n records that pass filter, nearest first.
func (x *index) closest(id identity.NodeID, n int, filter func(Peer) bool) []Peer {
	n = min(n, x.n)
	if n <= 0 {
		return nil
	}
	c := nearest{want: n, filter: filter, found: make([]Peer, 0, min(n, 1024))}
	c.hi, c.lo = words(id)
	for d := 0; d < 256 && len(c.found) < n; d++ { // ascending distance of the first byte
		c.visit(x.lists[id[0]^byte(d)], 8)
	}
	return c.found
}

// visit collects from a list whose ids agree in the bits before bit: first from the
// half that agrees with the target in this bit, then from the other.
func (c *nearest) visit(list []slot, bit uint) {
	for len(list) > leaf {
		i, j := 0, len(list)
		for i < j {
			m := int(uint(i+j) >> 1)
			if bitAt(list[m].hi, list[m].lo, bit) {
				j = m
			} else {
				i = m + 1
			}
		}
		near, far := list[:i], list[i:]
		if bitAt(c.hi, c.lo, bit) {
			near, far = far, near
		}
		bit++
		c.visit(near, bit)
		if len(c.found) == c.want {
			return
		}
		list = far
	}
	c.take(list)
}

func bitAt(hi, lo uint64, bit uint) bool {
	if bit < 64 {
		return hi>>(63-bit)&1 != 0
	}
	return lo>>(127-bit)&1 != 0
}

// take sorts a short list by distance and collects from it.
func (c *nearest) take(list []slot) {
	var sorted [leaf]slot
	for n := range list {
		s := slot{list[n].hi ^ c.hi, list[n].lo ^ c.lo, list[n].peer}
		i := n
		for ; i > 0 && (s.hi < sorted[i-1].hi || s.hi == sorted[i-1].hi && s.lo < sorted[i-1].lo); i-- {
			sorted[i] = sorted[i-1]
		}
		sorted[i] = s
	}
	for i := range list {
		if len(c.found) == c.want {
			return
		}
		if p := sorted[i].peer; c.filter == nil || c.filter(*p) {
			c.found = append(c.found, *p)
		}
	}
}
