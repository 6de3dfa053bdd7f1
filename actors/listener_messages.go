package actors

import (
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
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
