package protocol

import (
	"net/netip"
	"time"
)

// Reachability is whether others can connect to an address of this node. Times are of the node's clock.
type Reachability struct {
	Addr    netip.AddrPort
	Verdict Reach
	Since   time.Time // of the verdict
	At      time.Time // of the last result that gave the verdict; zero: none
	By      int       // nodes that have reached it, or could not
	Again   bool      // nodes are being asked again
	Why     string    // of ReachNotKnown: why it is not
	Ours    bool      // this machine, or a router before it, has the IP address
	Unseen  bool      // of ReachNotKnown: the nodes that could try it see this one elsewhere
}

// Reach says whether others can connect to an address.
type Reach uint8

// The verdicts.
const (
	ReachNotKnown Reach = iota
	Reachable
	Unreachable
)

// String returns "not known", "reachable" or "not reachable".
func (v Reach) String() string {
	switch v {
	case Reachable:
		return "reachable"
	case Unreachable:
		return "not reachable"
	}
	return "not known"
}
