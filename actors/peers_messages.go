package actors

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// AddPeer asks peers to add or merge a peer. Reply: PeerAdded, after the disk
// has it if Durable.
type AddPeer struct {
	Token   uint64
	Peer    peerstore.Peer
	Durable bool
	Given   bool // the user has just given the addresses: the next dial tries them first
	Origin  Origin
}

// Source makes a panic on a peer's own claim count against that peer.
func (m AddPeer) Source() any {
	if m.Origin.Peer.IsZero() {
		return nil
	}
	return m.Origin
}

// PeerAdded replies to AddPeer.
type PeerAdded struct {
	Token uint64
	Peer  identity.NodeID
	Err   error
}

// BanPeer has peers store a ban of a peer, known or not, that connectivity has
// decided on. Reply: PeerBanned, after the disk has it.
type BanPeer struct {
	Token    uint64
	Peer     identity.NodeID
	Key      identity.PublicKey // may be zero when the peer is known
	For      time.Duration
	Reason   string
	Severity string // "low", "medium" or "high"; "" for a ban on request
	Evidence string // where the offence was seen

	origin peerstore.Origin // where it came from; 0 for a ban on request
}

// text is the reason as the store keeps it, with severity, duration and evidence,
// so that they outlive the node.
func (m BanPeer) text() string {
	s := m.Reason
	if m.Severity != "" {
		s = fmt.Sprintf("%s (%s, %s)", s, m.Severity, m.For)
	}
	if m.Evidence != "" {
		s += "; " + m.Evidence
	}
	return s
}

// PeerBanned replies to RequestBan and BanPeer and is published, unless there is no
// such ban: then it is a reply only, and Err says why.
type PeerBanned struct {
	Token    uint64
	Peer     identity.NodeID
	For      time.Duration
	Until    time.Time
	Reason   string // with severity, duration and evidence, as it is stored
	Severity string
	Err      error
}

// UnbanPeer lifts a ban. Reply: PeerUnbanned, after the disk has it.
type UnbanPeer struct {
	Token uint64
	Peer  identity.NodeID
}

// PeerUnbanned replies to UnbanPeer, and is published, without the token, before
// that.
type PeerUnbanned struct {
	Token uint64
	Peer  identity.NodeID
	Err   error
}

// ForgetPeer removes a peer. Reply: PeerForgotten.
type ForgetPeer struct {
	Token uint64
	Peer  identity.NodeID
}

// PeerForgotten replies to ForgetPeer.
type PeerForgotten struct {
	Token uint64
	Peer  identity.NodeID
	Err   error
}

// ImportPeers adds peers that were exported, and checked; see
// [peerstore.ReadJSON]. Reply: PeersImported, once they are on the disk.
type ImportPeers struct {
	Token uint64
	Peers []peerstore.Peer
}

// PeersImported replies to ImportPeers. With an error Done says what of the
// message is on the disk all the same.
type PeersImported struct {
	Token uint64
	Done  Imported
	Err   error
}

// Imported counts what an import did.
type Imported struct {
	Added, Merged int
	Skipped       int // the node itself, and mere bans of peers on the allow list
}

// StoreTroubled is published when the peer store cannot be written, and again
// when the reason changes. What changes meanwhile is in memory only.
type StoreTroubled struct {
	Since time.Time
	Err   error // an ErrStoreFailed
}

// StoreHealed is published when everything is on the disk again.
type StoreHealed struct{}

// SeenPeer reports what a dial taught about addresses of a peer. No reply; not
// acknowledged.
type SeenPeer struct {
	Peer     identity.NodeID
	Attempts []DialAttempt
}
