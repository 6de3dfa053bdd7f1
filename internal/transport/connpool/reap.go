package connpool

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Live describes one connection for reaping, minimising and selection.
type Live struct {
	Peer     identity.NodeID
	Conn     uint64
	Outbound bool
	Node     bool // the peer is a full node
	Since    time.Time
	Streams  int  // open substreams
	Stalled  bool // a write has waited for the connection for a while
	KeptOpen bool // the peer is protected, or a call runs
}

// ReapLimits say when there are too many connections and which may be closed. A zero field
// stands for its default, named after the semicolon.
//
// spec: comms 11.4; V section 7
type ReapLimits struct {
	Outbound int           // outbound connections above which some are closed; 50
	Inbound  int           // inbound connections above which some are closed; 400
	Age      time.Duration // least age of a connection that is closed; 20 min
	Streams  int           // substreams above which a connection is in use; 2
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

// Reap returns the connections to close because there are too many in their direction: as
// many as are above the limit, of those that are neither held nor in use; first those that
// stand still, then the oldest.
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
			if !x.KeptOpen && now.Sub(x.Since) >= l.Age && x.Streams <= l.Streams {
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

// Minimise returns the connections to nodes that are not among the keep closest to own,
// farthest first. Allowed and held peers stay, and do not count.
//
// spec: comms 11.4
func Minimise(own identity.NodeID, live []Live, keep int, allowed func(identity.NodeID) bool) []Live {
	var nodes []Live
	for _, x := range live {
		if x.Node && !x.KeptOpen && (allowed == nil || !allowed(x.Peer)) {
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
