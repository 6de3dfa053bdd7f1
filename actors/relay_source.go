package actors

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

// relaySource is where a peer's messages come from: of one that we dialled, or that
// comes from a source without limits of its own, the peer itself (spec: V 8).
func (e *Env) relaySource(peer identity.NodeID) relaySource {
	if ref, ok := e.Connections.Get(peer); ok {
		if _, ok := ref.origin.Source(); ok {
			return relaySource{origin: ref.origin}
		}
	}
	return relaySource{peer: peer}
}
