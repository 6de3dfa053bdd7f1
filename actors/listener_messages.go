package actors

import (
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
)

// InboundRejected is published when an inbound connection did not get through
// its set-up.
type InboundRejected struct {
	Addr  ma.Multiaddr
	Peer  identity.NodeID // zero if it did not get that far
	Stage string
	Err   error
}

// ListenerBound is published when a listener is ready, also again after a
// restart.
type ListenerBound struct {
	Index int
	Addr  ma.Multiaddr
}
