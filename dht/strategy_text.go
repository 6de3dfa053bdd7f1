package dht

import "fmt"

// String names the strategy and whom it is about, for reports and logs.
func (s Direct) String() string { return "direct to " + s.Peer.String() }

// String names the strategy and whom it is about, for reports and logs.
func (s DirectKey) String() string {
	if s.Discover {
		return "direct to " + s.Key.NodeID().String() + ", looked for if unknown"
	}
	return "direct to " + s.Key.NodeID().String()
}

// String names the strategy, for reports and logs.
func (s Flood) String() string { return "flood" }

// String names the strategy, for reports and logs.
func (s Random) String() string { return fmt.Sprintf("%d at random", s.N) }

// String names the strategy and whom it is about, for reports and logs.
func (s Closest) String() string { return "closest to " + s.To.String() }

// String names the strategy and whom it is about, for reports and logs.
func (s DirectOrClosest) String() string { return "direct or closest to " + s.To.String() }

// String names the strategy, for reports and logs.
func (s Broadcast) String() string { return "broadcast" }

// String names the strategy, for reports and logs.
func (s Selected) String() string { return fmt.Sprintf("%d selected", len(s.Peers)) }

// String names the strategy and whom it is about, for reports and logs.
func (s StoreFor) String() string {
	return "to store for " + s.To.NodeID().String() + ", or direct if it is connected"
}

// String names the strategy and whom it is about, for reports and logs.
func (s Propagate) String() string {
	if s.To.IsZero() {
		return "propagate"
	}
	return "propagate to " + s.To.NodeID().String()
}
