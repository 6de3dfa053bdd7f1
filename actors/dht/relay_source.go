package dht

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// relaySource is what the bytes that are passed on are counted by: where the peer's
// connection comes from, or the peer if that says nothing.
type relaySource struct {
	origin peerstore.Origin
	peer   identity.NodeID // with no origin
}

// relaySource is where a message came from, also when its connection has ended: of a
// peer that we dialled, or that comes from a source without limits of its own, the
// peer itself (spec: V 8).
func (f Frame) relaySource() relaySource {
	if _, ok := f.origin.Source(); ok {
		return relaySource{origin: f.origin}
	}
	return relaySource{peer: f.Peer}
}
