package peerbook

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// AddPeer asks peers to add or merge a peer. Reply: PeerAdded; if Durable is set, only
// after the disk has the change.
type AddPeer struct {
	Token   uint64
	Peer    peerstore.Peer
	Durable bool
	Given   bool // the user has just given the addresses: the next dial tries them first
	Keep    bool // a known peer keeps its flags, so a seed stays one
	Origin  actors.Origin
}

// Source makes a panic on a peer's own claim count against that peer.
func (m AddPeer) Source() supervisor.Source {
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

// BanPeer asks peers to store a ban that connectivity has decided on. The peer may be
// unknown. Reply: PeerBanned, after the disk has the ban.
type BanPeer struct {
	Token    uint64
	Peer     identity.NodeID
	Key      identity.PublicKey // may be zero when the peer is known
	For      time.Duration
	Reason   string
	Severity string // "low", "medium" or "high"; "" for a ban on request
	Evidence string // where the offence was seen

	Origin peerstore.Origin // where the offence came from; 0 for a ban on request
}

// text returns the reason as the store keeps it: with severity, duration and evidence,
// so that they are known after a restart of the node.
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

// UnbanPeer lifts a ban. Reply: PeerUnbanned, after the disk has the change.
type UnbanPeer struct {
	Token uint64
	Peer  identity.NodeID
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

// ImportPeers adds peers that were exported by a node. The sender has checked them; see
// [peerstore.ReadJSON]. Reply: PeersImported, after the disk has them.
type ImportPeers struct {
	Token uint64
	Peers []peerstore.Peer
}

// PeersImported replies to ImportPeers. If a record was refused, Err says why, and Done
// counts the records before it, which are on the disk.
type PeersImported struct {
	Token uint64
	Done  actors.Imported
	Err   error
}

// SeenPeer reports the attempts to dial addresses of a peer. No reply.
type SeenPeer struct {
	Peer     identity.NodeID
	Attempts []actors.DialAttempt
}
