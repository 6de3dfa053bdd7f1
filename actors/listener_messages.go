package actors

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// InboundRejected is published when an inbound connection was refused or its
// set-up failed.
type InboundRejected struct {
	Addr  ma.Multiaddr
	Peer  identity.NodeID // zero if the set-up ended before the peer was known
	Stage string
	Err   error
}

// ListenerBound is published each time a listener becomes ready: at its start and
// after each restart.
type ListenerBound struct {
	Index int
	Addr  ma.Multiaddr
}

// AcceptFailed is published when a listener could not accept connections, mostly for want of
// file descriptors: at the first failure, and then once a minute while there are more.
type AcceptFailed struct {
	Addr ma.Multiaddr // the listener's
	Err  error        // of the last failure
	N    int          // failures since the last AcceptFailed
}

// MoveListener has a listener listen on another IP address of the machine. Sent to
// node/listeners/0. Reply: ListenerMoved.
type MoveListener struct{ To netip.Addr }

// ListenerMoved replies to MoveListener. Err nil: it listens there.
type ListenerMoved struct{ Err error }

// AddressesChanged is published when the node tells others other addresses, because those of its
// machine have changed.
type AddressesChanged struct{ Addresses []ma.Multiaddr }

// ReachChanged is published when it has become known at which addresses others can connect to this
// node, or is known no more.
type ReachChanged struct{ Addresses []protocol.Reachability }
