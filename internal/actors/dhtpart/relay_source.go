package dhtpart

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// relaySource is the key by which relayed bytes, and announcements, are counted: the source of the inbound
// connection, or the peer if there is no such source.
type relaySource struct {
	origin peerstore.Origin
	peer   identity.NodeID // set if origin is not
}

// relaySource returns the source that a relayed message counts for, also after its connection
// has ended. For a peer that we dialled, and for a peer from an exempt source, it is the
// peer itself (spec: V 8).
func (p passedCredit) relaySource() relaySource { return sourceOf(p.origin, p.source.Peer) }

func sourceOf(origin peerstore.Origin, peer identity.NodeID) relaySource {
	if _, ok := origin.Source(); ok {
		return relaySource{origin: origin}
	}
	return relaySource{peer: peer}
}
