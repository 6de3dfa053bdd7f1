package lab

import (
	"math"
	"slices"
)

// Graph is the network at one moment. Its numbers are indexes in Lab.Members.
type Graph struct {
	Links      [][2]int // each connection once
	Neighbours [][]int  // of each member, those in its neighbour set
}

// graph returns the network as it is now.
func (l *Lab) graph() (g Graph) {
	g.Neighbours = make([][]int, len(l.Members))
	for i, m := range l.Members {
		if m.Node == nil {
			continue
		}
		for _, c := range m.Node.Connections() {
			if peer, ok := l.log.index[c.Peer]; ok && i < peer {
				g.Links = append(g.Links, [2]int{i, peer})
			}
		}
		for _, n := range m.Node.DHT().Network().Neighbour.Members {
			for peer, other := range l.Members {
				if other.ID.String() == n.NodeID {
					g.Neighbours[i] = append(g.Neighbours[i], peer)
				}
			}
		}
	}
	return g
}

// point is a place in a drawing.
type point struct{ X, Y float64 }

// ring returns places for the members on a circle, in the order of their ids, with the
// same distance between two.
func (l *Lab) ring(radius float64) []point {
	order := make([]int, len(l.Members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return l.Members[a].ID.Compare(l.Members[b].ID) })
	places := make([]point, len(order))
	for place, i := range order {
		angle := 2*math.Pi*float64(place)/float64(len(order)) - math.Pi/2
		places[i] = point{radius * math.Cos(angle), radius * math.Sin(angle)}
	}
	return places
}
