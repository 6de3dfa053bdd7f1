package connections

import (
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Upgraded is a finished upgrade. The task that made it sends it through dialer or
// listener to conns, which hands the session to a new conn actor.
type Upgraded struct {
	Peer      identity.NodeID
	Key       identity.PublicKey
	Message   identify.Message // the peer's validated identity message
	Told      []protocol.ID    // the protocols that this node has listed
	Addr      ma.Multiaddr     // the dialled address; of an inbound connection, where it comes from
	Transport string
	Direction protocol.Direction
	Timings   transport.Timings
	Began     time.Time // begin of the set-up
	Session   *supervisor.Handover[*mux.Session]

	remote  ma.Multiaddr             // where the other end is, names resolved
	local   netip.Addr               // this machine's end; not valid if it has no IP address
	flight  transport.FlightReporter // of a direct connection, else nil
	arrived func()                   // of an inbound connection: conns calls it when the directory has the connection
	origin  peerstore.Origin         // of an inbound connection: where it comes from
	secret  *protocol.NetworkSecret  // of the private network, with which it was set up; nil: the network is none
}

// Discard closes the session unless it was taken.
func (m Upgraded) Discard() { m.Session.Discard() }

// Source returns the peer that a panic on this message is charged to.
func (m Upgraded) Source() supervisor.Source { return actors.Origin{Peer: m.Peer} }

// PeerListed is published when a connected node of this library has told which protocols it accepts:
// see [actors.ConnRef.Listed].
type PeerListed struct {
	Peer identity.NodeID
	Conn *actors.ConnRef
}

// CloseConn asks conns to close a connection to the peer. No reply: the end is
// published as PeerDisconnected.
type CloseConn struct {
	Peer   identity.NodeID
	Conn   uint64 // 0: all connections to the peer
	Reason actors.CloseReason
}

// connEnded is the last message of a conn to conns, which then stops the conn.
type connEnded struct {
	Ref    *actors.ConnRef
	Reason actors.CloseReason
}
