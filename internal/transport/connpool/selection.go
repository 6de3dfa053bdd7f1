package connpool

import (
	"math/rand/v2"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Closest returns up to n connected full nodes, nearest to target first,
// without the excluded ones.
//
// spec: comms 11.7
func Closest(target identity.NodeID, live []Live, n int, except ...identity.NodeID) []identity.NodeID {
	nodes := selectable(live, except)
	sortByDistance(target, nodes)
	return ids(nodes, n)
}

// Random returns up to n connected full nodes in a random order, without the
// excluded ones.
//
// spec: comms 11.7
func Random(r *rand.Rand, live []Live, n int, except ...identity.NodeID) []identity.NodeID {
	nodes := selectable(live, except)
	sortByDistance(identity.NodeID{}, nodes) // makes the result independent of the order of live
	r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return ids(nodes, n)
}

func selectable(live []Live, except []identity.NodeID) []Live {
	var nodes []Live
	for _, x := range live {
		if x.Node && !slices.Contains(except, x.Peer) {
			nodes = append(nodes, x)
		}
	}
	return nodes
}

func sortByDistance(target identity.NodeID, list []Live) {
	slices.SortFunc(list, func(a, b Live) int {
		return target.Distance(a.Peer).Cmp(target.Distance(b.Peer))
	})
}

func ids(list []Live, n int) []identity.NodeID {
	list = list[:max(0, min(n, len(list)))]
	peers := make([]identity.NodeID, len(list))
	for i, x := range list {
		peers[i] = x.Peer
	}
	return peers
}
