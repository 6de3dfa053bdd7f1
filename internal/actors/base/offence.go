package base

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// PeerViolated reports an offence of a peer. Only connectivity decides what follows.
type PeerViolated struct {
	Peer identity.NodeID
	Key  identity.PublicKey
	Conn uint64
	Err  error // wraps protocol.ErrViolation

	// Origin is where the peer's connection came from. As long as the connection Conn
	// is remembered, connectivity uses the origin of that connection instead.
	Origin peerstore.Origin
}

// PeerPanicked reports a contained panic on a message of this peer. Conn is the
// connection on which the message came, 0 if that is not known.
type PeerPanicked struct {
	Peer identity.NodeID
	Conn uint64
	Path string
}

// Violated returns what is sent to connectivity when the peer broke the rules on the connection.
func Violated(r *actors.ConnRef, err error) PeerViolated {
	return PeerViolated{Peer: r.Peer, Key: r.Key, Conn: r.ID, Err: err, Origin: r.Origin()}
}

// PanicsUntold tells connectivity that there are panics to log.
type PanicsUntold struct{}
