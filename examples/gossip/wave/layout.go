package wave

import (
	"fmt"
	"math"
	"slices"
)

// point is a place relative to the node where the news began.
type point struct{ x, y float64 }

func (p point) String() string { return fmt.Sprintf("%.1f %.1f", p.x, p.y) }

// layout holds the places of the nodes and of the text.
type layout struct {
	at      []point   // place of each node
	rings   []float64 // radius of each ring; that of hop 0 is 0
	words   []point   // a free place for text on each ring
	deepest int       // last ring with nodes that have heard the news
}

// bounds returns two opposite corners of the area of the nodes, with a margin.
func (l layout) bounds() (low, high point) {
	for _, p := range l.at {
		low = point{min(low.x, p.x), min(low.y, p.y)}
		high = point{max(high.x, p.x), max(high.y, p.y)}
	}
	const room = radius + 14
	return point{low.x - room, low.y - room}, point{high.x + room, high.y + room}
}

// layout puts each node on the ring of its hops. The node's sector is wide enough for all
// nodes that heard the news through it, so the paths of the news never cross.
func (w *Wave) layout() layout {
	children := make([][]int, len(w.Nodes))
	depth := make([]int, len(w.Nodes))
	root, deepest := 0, 0
	for i, n := range w.Nodes {
		switch {
		case n.Heard && n.Hops == 0:
			root = i
		case n.Heard:
			children[n.From] = append(children[n.From], i)
			depth[i] = n.Hops
			deepest = max(deepest, n.Hops)
		}
	}
	for i, n := range w.Nodes {
		if !n.Heard { // these nodes are farther out than all others
			children[root] = append(children[root], i)
			depth[i] = deepest + 1
		}
	}
	leaves := make([]int, len(w.Nodes))
	var count func(i int) int
	count = func(i int) int {
		for _, c := range children[i] {
			leaves[i] += count(c)
		}
		leaves[i] = max(1, leaves[i])
		return leaves[i]
	}
	whole := float64(count(root))
	angles := make([]float64, len(w.Nodes))
	var place func(i int, from float64)
	place = func(i int, from float64) {
		angles[i] = from + math.Pi*float64(leaves[i])/whole
		for _, c := range children[i] {
			place(c, from)
			from += 2 * math.Pi * float64(leaves[c]) / whole
		}
	}
	place(root, -math.Pi/2)

	l := layout{at: make([]point, len(w.Nodes)), rings: []float64{0}, words: make([]point, 1), deepest: deepest}
	for d := 1; d <= slices.Max(depth); d++ {
		var ring []float64
		for i, a := range angles {
			if depth[i] == d {
				ring = append(ring, a)
			}
		}
		l.rings = append(l.rings, max(l.rings[d-1]+rings, apart/narrowest(ring)))
	}
	for i, a := range angles {
		l.at[i] = polar(l.rings[depth[i]], a)
	}
	taken := slices.Clone(l.at)
	for i, n := range w.Nodes {
		if n.Heard {
			const parts = 6
			for k := 1.0; k < parts; k++ {
				taken = append(taken, between(l.at[n.From], l.at[i], k/parts))
			}
		}
	}
	for _, r := range l.rings[1:] {
		l.words = append(l.words, l.room(r, taken))
	}
	return l
}

func polar(r, angle float64) point { return point{r * math.Cos(angle), r * math.Sin(angle)} }

func between(a, b point, part float64) point {
	return point{a.x + (b.x-a.x)*part, a.y + (b.y-a.y)*part}
}

// room returns the place on a ring, within bounds, that is farthest from all taken places.
func (l layout) room(r float64, taken []point) (best point) {
	const steps, wide, tall = 120, 30, 12
	low, high := l.bounds()
	most := -1.0
	for i := range steps {
		p := polar(r, 2*math.Pi*float64(i)/steps)
		if p.x < low.x+wide || p.x > high.x-wide || p.y < low.y+tall || p.y > high.y-tall {
			continue
		}
		nearest := math.Inf(1)
		for _, t := range taken {
			nearest = min(nearest, math.Hypot(p.x-t.x, p.y-t.y))
		}
		if nearest > most {
			best, most = p, nearest
		}
	}
	return best
}

// narrowest returns the smallest angle between two neighbours on a ring.
func narrowest(ring []float64) float64 {
	slices.Sort(ring)
	least := 2 * math.Pi
	for i, a := range ring {
		next := ring[0] + 2*math.Pi
		if i+1 < len(ring) {
			next = ring[i+1]
		}
		least = min(least, next-a)
	}
	return least
}
