package actors

import (
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/identify"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/mux"
	"github.com/gamelan-p2p/gamelan/transport/upgrade"
)

// Upgraded is a finished upgrade on its way from the task that made it, through
// dialer or listener, to conns and at last to the conn that owns the session.
type Upgraded struct {
	Peer      identity.NodeID
	Key       identity.PublicKey
	Message   identify.Message // the peer's validated identity message
	Addr      ma.Multiaddr     // dialled, or where it came from
	Transport string
	Direction protocol.Direction
	Timings   upgrade.Timings
	Began     time.Time // the set-up
	Session   *supervisor.Handover[*mux.Session]

	arrived func()           // of an inbound one: it is in the directory
	origin  peerstore.Origin // likewise: where it comes from
}

// Discard closes the session unless somebody took it.
func (m Upgraded) Discard() { m.Session.Discard() }

// Source makes a panic on it count against the peer.
func (m Upgraded) Source() any { return Origin{Peer: m.Peer} }

// PeerConnected is published when a peer has a connection, after the directory
// was written. Each is followed by one PeerDisconnected, except that of a
// connection whose place another one took: it lost a tie-break, or a second one
// was there when it ended.
type PeerConnected struct {
	Peer identity.NodeID
	Conn *ConnRef
}

// PeerDisconnected is published when a peer has no connection any more.
type PeerDisconnected struct {
	Peer   identity.NodeID
	Conn   *ConnRef
	Reason CloseReason
}

// PeerRefused is published when a finished upgrade was not adopted.
type PeerRefused struct {
	Peer identity.NodeID
	Err  error
}

// CloseConn closes the connection of a peer. Sent to conns. No reply: the end
// is published as PeerDisconnected.
type CloseConn struct {
	Peer   identity.NodeID
	Conn   uint64 // 0: whatever there is
	Reason CloseReason
}

// connEnded is a conn's last word to conns, which then stops it.
type connEnded struct {
	Ref    *ConnRef
	Reason CloseReason
}
