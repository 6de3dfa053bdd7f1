package netsync

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// How long a node keeps a connection that it made of its own accord, and that it needs for
// nothing.
const (
	// HangUpAfter is for how long at most seeds stay connected while seeds are being asked.
	HangUpAfter = 15 * time.Minute
	// UnusedAfter is the least age of other connections that were never of use. By then the
	// peer may be a member of a set.
	UnusedAfter = 30 * time.Second
	// UsedFor is how long a connection stays after it was of use.
	UsedFor = 5 * time.Minute
)

// Link is a connection to a node.
type Link struct {
	Peer     identity.NodeID
	Outbound bool // this node has dialled it
	Own      bool // … of its own accord: to read a list, for its sets or for its floor
	Seed     bool
	Asking   bool // a list is being read
	Needed   bool // a member of a set, protected, or in use now
	Since    time.Time
	Used     time.Time // when it was last of use, by a message or a call; zero: never
}

// spare reports whether the node can do without the connection.
func (l Link) spare(now time.Time, busy bool) bool {
	switch {
	case !l.Own || !l.Outbound || l.Needed:
		return false
	case l.Seed:
		return !busy || now.Sub(l.Since) >= HangUpAfter
	case l.Used.IsZero():
		return !l.Asking && now.Sub(l.Since) >= UnusedAfter
	}
	return !l.Asking && now.Sub(l.Used) >= UsedFor
}

// Least says how many connections must be left.
type Least struct {
	Floor    int // connections of a node without its seeds
	Wanted   int // … without other nodes
	Outbound int // outbound ones, so that the node is not starved
}

// HangUp returns the peers to hang up: those that this node has dialled of its own accord and
// does not need, seeds first, then the oldest connection. While busy, when seeds are
// still being asked, seeds stay unless their connections are at least HangUpAfter old.
//
// spec: V27.
func HangUp(now time.Time, links []Link, least Least, busy bool) (peers []identity.NodeID) {
	left, dialled := len(links), 0
	for _, l := range links {
		if l.Outbound {
			dialled++
		}
	}
	links = slices.Clone(links)
	slices.SortFunc(links, func(a, b Link) int {
		switch {
		case a.Seed && !b.Seed:
			return -1
		case b.Seed && !a.Seed:
			return 1
		}
		return cmp.Or(a.Since.Compare(b.Since), a.Peer.Compare(b.Peer))
	})
	for _, l := range links {
		keep := least.Floor
		if !l.Seed {
			keep = max(least.Floor, least.Wanted)
		}
		if left > keep && dialled > least.Outbound && l.spare(now, busy) {
			peers = append(peers, l.Peer)
			left--
			dialled--
		}
	}
	return peers
}
