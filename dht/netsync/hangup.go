package netsync

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// HangUpAfter is how long a node stays connected to a seed that it needs no longer.
const HangUpAfter = 15 * time.Minute

// Link is a connection to a node.
type Link struct {
	Peer     identity.NodeID
	Seed     bool
	Outbound bool
	Needed   bool // a member of a set, protected, or in use
	Since    time.Time
}

// HangUp returns the seeds to hang up: those that this node has dialled and does not need.
// It keeps floor connections to nodes; floor 0 keeps none. While busy, when seeds are still
// being asked, only connections of at least HangUpAfter are hung up.
//
// spec: V27.
func HangUp(now time.Time, links []Link, floor int, busy bool) (seeds []identity.NodeID) {
	left := len(links)
	for _, l := range links {
		if left <= floor {
			break
		}
		if l.Seed && l.Outbound && !l.Needed && (!busy || now.Sub(l.Since) >= HangUpAfter) {
			seeds = append(seeds, l.Peer)
			left--
		}
	}
	return seeds
}
