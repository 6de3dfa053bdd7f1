package anchors

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// KadLookup is kad/lookup-sim-1000nodes-k20-a3: lookups in a network that never changes,
// where a query is a function call. A node knows the 40 nearest to itself and 240 others at
// random, at most 20 of each bucket. A lookup asks three at a time, and is over when the 20
// nearest that it has heard of were asked. An operation is a query.
func KadLookup() harness.Case {
	return harness.Case{Name: "kad/lookup-sim-1000nodes-k20-a3", Run: func(m *harness.Meter) error {
		n := newKadNet(1000)
		queries := uint64(0)
		return m.Flowing(func() (uint64, error) {
			before := queries
			var target kadID
			n.fill(&target)
			if found := n.lookup(n.rand.IntN(len(n.ids)), target, &queries); len(found) != kadK {
				return 0, fmt.Errorf("got %d nodes, want %d", len(found), kadK)
			}
			return queries - before, nil
		})
	}}
}

const (
	kadK       = 20
	kadAlpha   = 3
	kadNearest = 40
	kadOthers  = 240
)

type kadID [13]byte

// nearer reports whether a is nearer to target than b.
func nearer(target, a, b *kadID) int {
	for i := range target {
		x, y := target[i]^a[i], target[i]^b[i]
		if x != y {
			return int(x) - int(y)
		}
	}
	return 0
}

func commonPrefix(a, b *kadID) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * len(a)
}

type kadNet struct {
	rand  *rand.Rand
	ids   []kadID
	known [][]int32 // of each node
}

func (n *kadNet) fill(id *kadID) {
	for i := range id {
		id[i] = byte(n.rand.Uint32())
	}
}

func newKadNet(size int) *kadNet {
	n := &kadNet{rand: rand.New(rand.NewPCG(1, 2)), ids: make([]kadID, size), known: make([][]int32, size)}
	all := make([]int32, size)
	for i := range n.ids {
		n.fill(&n.ids[i])
		all[i] = int32(i)
	}
	for i := range n.ids {
		self := &n.ids[i]
		slices.SortFunc(all, func(a, b int32) int { return nearer(self, &n.ids[a], &n.ids[b]) })
		known := slices.Clone(all[1 : 1+kadNearest])
		buckets := make(map[int]int)
		for _, x := range known {
			buckets[commonPrefix(self, &n.ids[x])]++
		}
		for _, at := range n.rand.Perm(size - 1 - kadNearest)[:kadOthers] {
			x := all[1+kadNearest+at]
			if b := commonPrefix(self, &n.ids[x]); buckets[b] < kadK {
				buckets[b]++
				known = append(known, x)
			}
		}
		n.known[i] = known
	}
	return n
}

// query returns the 20 nodes nearest to target that a node knows.
func (n *kadNet) query(node int32, target *kadID) []int32 {
	list := slices.Clone(n.known[node])
	slices.SortFunc(list, func(a, b int32) int { return nearer(target, &n.ids[a], &n.ids[b]) })
	return list[:min(kadK, len(list))]
}

func (n *kadNet) lookup(from int, target kadID, queries *uint64) []int32 {
	type peer struct {
		node  int32
		asked bool
	}
	seen := map[int32]bool{int32(from): true}
	var short []peer
	hear := func(list []int32) {
		for _, x := range list {
			if seen[x] {
				continue
			}
			seen[x] = true
			at, _ := slices.BinarySearchFunc(short, x, func(p peer, x int32) int { return nearer(&target, &n.ids[p.node], &n.ids[x]) })
			short = slices.Insert(short, at, peer{node: x})
		}
	}
	hear(n.query(int32(from), &target))
	for {
		var ask []int32
		for i := range short[:min(kadK, len(short))] {
			if p := &short[i]; !p.asked && len(ask) < kadAlpha {
				p.asked = true
				ask = append(ask, p.node)
			}
		}
		if len(ask) == 0 {
			break
		}
		for _, x := range ask {
			*queries++
			hear(n.query(x, &target))
		}
	}
	var found []int32
	for _, p := range short[:min(kadK, len(short))] {
		found = append(found, p.node)
	}
	return found
}
