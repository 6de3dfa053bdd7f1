package trunk

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// RequestBan asks connectivity to ban a peer because the user or an application
// protocol wants it, not because of an offence. A peer on the allow list is not banned.
// Reply: PeerBanned, when the ban is on the disk.
type RequestBan struct {
	Token  uint64
	Peer   identity.NodeID
	For    time.Duration
	Reason string
}

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

// BlamePeer tells connectivity that the application finds a peer guilty of breaking the
// rules of its protocol. The third BlamePeer within a minute closes the peer's
// connection. No reply.
type BlamePeer struct {
	Peer   identity.NodeID
	Reason string
}

// PeerPanicked reports a contained panic on a message of this peer. Conn is the
// connection on which the message came, 0 if that is not known.
type PeerPanicked struct {
	Peer identity.NodeID
	Conn uint64
	Path string
}

// ProtectPeer asks connectivity to keep the peer connected, under a tag that the caller
// chooses. UnprotectPeer removes the tag; the peer is protected until its last tag is
// removed. Neither has a reply.
type (
	ProtectPeer struct {
		Peer identity.NodeID
		Tag  string
	}
	UnprotectPeer struct {
		Peer identity.NodeID
		Tag  string
	}
)

// AllowPeer puts a peer on the allow list, whose peers are never banned, or takes it
// off. A ban of a peer on the list has no effect from now on, and is lifted. Reply:
// PeerAllowed.
type AllowPeer struct {
	Token uint64
	Peer  identity.NodeID
	Off   bool
}

// PeerAllowed replies to AllowPeer.
type PeerAllowed struct {
	Token uint64
	Peer  identity.NodeID
}

// GetStatus asks connectivity for the state of the node's connections. Reply: Status.
type GetStatus struct{}
