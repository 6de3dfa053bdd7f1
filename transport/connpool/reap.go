package connpool

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Live is one connection as reaping, minimising and selection see it.
type Live struct {
	Peer     identity.NodeID
	Conn     uint64
	Outbound bool
	Node     bool // the peer is a full node
	Since    time.Time
	Streams  int  // open substreams
	Stalled  bool // a write has waited for the connection for a while
	Held     bool // somebody wants the peer connected, or a call runs
}

// ReapLimits say when connections are too many and which may go. Zero fields
// have the defaults named.
//
// spec: comms 11.4; V section 7
type ReapLimits struct {
	Outbound int           // none is reaped up to so many outbound ones; 50
	Inbound  int           // … inbound ones; 400
	Age      time.Duration // a younger one is not reaped; 20 min
	Streams  int           // one with more substreams is in use; 2
}

func (l ReapLimits) withDefaults() ReapLimits {
	l.Outbound = cmp.Or(l.Outbound, 50)
	l.Inbound = cmp.Or(l.Inbound, 400)
	l.Age = cmp.Or(l.Age, 20*time.Minute)
	l.Streams = cmp.Or(l.Streams, 2)
	return l
}

// Idle returns the number of substreams up to which a connection is idle.
func (l ReapLimits) Idle() int { return l.withDefaults().Streams }

// Reap returns the connections that are to be closed because there are too many
// of their direction: as many as are above the limit, of those that nobody holds
// and nobody uses; what stands still goes first, then the oldest.
func Reap(now time.Time, live []Live, l ReapLimits) []Live {
	l = l.withDefaults()
	var reaped []Live
	for _, outbound := range []bool{true, false} {
		limit := l.Inbound
		if outbound {
			limit = l.Outbound
		}
		n := 0
		var idle []Live
		for _, x := range live {
			if x.Outbound != outbound {
				continue
			}
			n++
			if !x.Held && now.Sub(x.Since) >= l.Age && x.Streams <= l.Streams {
				idle = append(idle, x)
			}
		}
		slices.SortFunc(idle, func(a, b Live) int {
			return cmp.Or(compareBool(a.Stalled, b.Stalled), a.Since.Compare(b.Since), cmp.Compare(a.Conn, b.Conn))
		})
		reaped = append(reaped, idle[:min(len(idle), max(0, n-limit))]...)
	}
	return reaped
}

// Minimise returns the connections to nodes that are beyond the keep closest to
// own, farthest first. Who is spared or held stays, and does not count.
//
// spec: comms 11.4
func Minimise(own identity.NodeID, live []Live, keep int, spared func(identity.NodeID) bool) []Live {
	var nodes []Live
	for _, x := range live {
		if x.Node && !x.Held && (spared == nil || !spared(x.Peer)) {
			nodes = append(nodes, x)
		}
	}
	sortByDistance(own, nodes)
	if keep < 0 || len(nodes) <= keep {
		return nil
	}
	rest := nodes[keep:]
	slices.Reverse(rest)
	return rest
}
