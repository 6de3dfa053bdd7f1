package actors

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// RequestBan asks connectivity for a ban that no rule led to: a user's, or an
// application protocol's. A peer on the allow list is not banned. Reply:
// PeerBanned, after the disk has it.
type RequestBan struct {
	Token  uint64
	Peer   identity.NodeID
	For    time.Duration
	Reason string
}

// ClockSet is published when the system's clock was set forward by so much, or
// back if it is negative, at most ten seconds later. What measures durations does
// not notice.
type ClockSet struct{ By time.Duration }

// PeerViolated reports an offence. Only connectivity decides what follows.
type PeerViolated struct {
	Peer identity.NodeID
	Key  identity.PublicKey
	Conn uint64
	Err  error // wraps protocol.ErrViolation

	// Origin is where it came from. That of Conn counts while it is remembered.
	Origin peerstore.Origin
}

// BlamePeer says that the application takes a peer to have broken the rules of its
// protocol. The third within a minute closes the peer's connection. Sent to
// connectivity. No reply.
type BlamePeer struct {
	Peer   identity.NodeID
	Reason string
}

// PeerPanicked reports a contained panic on a message of this peer; Conn is 0 when
// it is not known whose it was.
type PeerPanicked struct {
	Peer identity.NodeID
	Conn uint64
	Path string
}

// ProtectPeer asks connectivity to keep the peer connected by a tag of the caller's.
// UnprotectPeer takes the wish back. Neither has a reply.
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

// AllowPeer puts a peer on the list of those who are never banned, or takes it
// off. A ban that there is ends: from now on nobody minds it. Reply: PeerAllowed.
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

// GetStatus asks connectivity for the node's state. Reply: Status.
type GetStatus struct{}

// Status is the node's state with its cause in words.
type Status struct {
	State     string // initializing, online, degraded or offline
	Cause     string
	Nodes     int // connected nodes
	Clients   int // connected clients
	Wanted    int // peers that somebody wants connected
	Missing   int // of these, not connected
	Floor     int // connected nodes below which others are dialled; 0: none
	UpdatedAt time.Time
}

// StatusChanged is published when the node's state changes.
type StatusChanged struct{ Status Status }
