package connectivity

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
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

// BlamePeer tells connectivity that the application finds a peer guilty of breaking the
// rules of its protocol. The third BlamePeer within a minute closes the peer's
// connection. No reply.
type BlamePeer struct {
	Peer   identity.NodeID
	Reason string
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
