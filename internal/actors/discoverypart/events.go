package discoverypart

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// The events of discovery, which any actor may subscribe to.
type (
	// PeersLearned is published when unknown peers were stored: from a peer list, a Join
	// or a Discovery.
	PeersLearned struct{ New int }
	// NeighboursChanged is published when the neighbours or the random nodes, or which
	// of them are connected, have changed.
	NeighboursChanged struct {
		Neighbours, Random []identity.NodeID
		Connected          int // of both
	}
	// PoolStarved is published when too few connections to nodes are outbound, for
	// several checks in a row.
	PoolStarved struct{ Outbound, Target int }
	// Rebootstrapped is published when the node has asked seeds and connected nodes anew
	// because it was starved. Peers are the nodes to try first, at most 200, in turn from
	// each of the asked nodes.
	Rebootstrapped struct {
		Asked, Learned int
		Peers          []identity.NodeID
	}
	// Joined is published when a Join of this node was sent.
	Joined struct {
		At        time.Time
		Nodes     int // that it was sent to
		Confirmed int
		Err       error // why it went to nobody
	}
)
