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
	Outbound bool // this node has dialled it
	Seed     bool // … because it is a seed
	Needed   bool // a member of a set, protected, or in use
	Since    time.Time
}

// HangUp returns the seeds to hang up: those that this node has dialled as seeds and does not
// need. It leaves at least floor connections, and outbound ones so many that the node is not
// starved. While busy, when seeds are still being asked, only connections of at least
// HangUpAfter are hung up.
//
// spec: V27.
func HangUp(now time.Time, links []Link, floor, outbound int, busy bool) (seeds []identity.NodeID) {
	left, dialled := len(links), 0
	for _, l := range links {
		if l.Outbound {
			dialled++
		}
	}
	for _, l := range links {
		if left <= floor || dialled <= outbound {
			break
		}
		if l.Seed && l.Outbound && !l.Needed && (!busy || now.Sub(l.Since) >= HangUpAfter) {
			seeds = append(seeds, l.Peer)
			left--
			dialled--
		}
	}
	return seeds
}
