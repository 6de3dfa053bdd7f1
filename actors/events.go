package actors

import (
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// PeerConnected is published when a peer has a connection, after conns has written the
// directory. One PeerDisconnected follows, unless another PeerConnected of the same
// peer comes first: then that connection takes the place of this one, which has lost a
// tie-break or has ended. A connection that wins a tie-break may be published a second
// time.
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

// ClosedConn is a connection that has ended.
type ClosedConn struct {
	Ref    *ConnRef
	At     time.Time
	Reason CloseReason
	// BytesIn and BytesOut are with the multiplexer's headers, without those of encryption. They are 0 if the
	// actor of the connection has failed.
	BytesIn, BytesOut       uint64
	MessagesIn, MessagesOut uint64
	Stalls                  uint64 // writes that had to wait because the peer did not read
}

// PeerRefused is published when conns does not adopt a finished upgrade.
type PeerRefused struct {
	Peer identity.NodeID
	Err  error
}

// InboundRejected is published when an inbound connection was refused or its
// set-up failed.
type InboundRejected struct {
	Addr  ma.Multiaddr
	Peer  identity.NodeID // zero if the set-up ended before the peer was known
	Stage string
	Err   error
}

// DialFailed is published when a dial fails. A cancelled dial does not count as failed.
type DialFailed struct {
	Peer     identity.NodeID
	Attempts []DialAttempt
	Err      error
}

// DialAttempt is one attempt to connect to one address.
type DialAttempt struct {
	At    time.Time
	Addr  ma.Multiaddr
	Stage string // where it failed: "connect", "noise", …; "" when it succeeded
	Err   error
	Took  time.Duration

	Handshake time.Duration // the part of Took for the handshake and the identity exchange

	Given bool // the address was given for this dial, by Peers.Offer or Peers.DialAt

	By string // who asked for the dial, by name
}

// DialUnderWay is a dial that has not ended.
type DialUnderWay struct {
	Peer  identity.NodeID
	Since time.Time    // when it began
	Addr  ma.Multiaddr // the address that is tried now; nil: none yet
	By    string       // who asked for it, by name
}

// Imported counts what an import did.
type Imported struct {
	Added, Merged int
	Skipped       int // the node itself, and mere bans of peers on the allow list
}

// PeerBanned is published when a peer was banned. Its Err is nil then. Token names a
// request of the node itself.
type PeerBanned struct {
	Token    uint64
	Peer     identity.NodeID
	For      time.Duration
	Until    time.Time
	Reason   string // with severity, duration and evidence, as it is stored
	Severity string
	Err      error
}

// PeerUnbanned is published when a ban was lifted.
type PeerUnbanned struct {
	Token uint64
	Peer  identity.NodeID
	Err   error
}

// Status is the state of the node's connections, with its cause in words.
type Status struct {
	State     string // initializing, online, degraded or offline
	Cause     string
	Nodes     int // connected nodes
	Clients   int // connected clients
	Wanted    int // protected peers
	Missing   int // protected peers that are not connected
	Floor     int // below this number of connected nodes others are dialled; 0: no automatic dials
	UpdatedAt time.Time

	Since     time.Time // of the state
	NotOnline time.Time // since when there are too few nodes to be online, but for less than 10 s at a time; zero: there are enough
	Tried     string    // offline: whom the node has tried to reach since, and why that failed; empty: nobody
	TriedCode string    // of package inspect/codes: why that failed
	Alone     bool      // connected to no node, and this one knows no node that it could connect to
}

// NotTaken is a connected peer that accepts no messages of this node: it ends each
// messaging substream before one message is proven. A node of release 1.7 that has
// closed a connection itself does so until it restarts.
type NotTaken struct {
	Peer     identity.NodeID
	Protocol protocol.ID // of the messages
	Times    int         // substreams in a row that the peer has ended
	Last     time.Time   // when the last of these was noticed
	Err      error       // how the last one ended
}

// ProtocolFailed is published when a user's actor has failed. extensions starts the
// actor again after 30 s. If Stopped, its panic policy has stopped the actor, which
// stays stopped until it is registered again.
type ProtocolFailed struct {
	Name    string
	ID      protocol.ID
	Err     error
	Stopped bool
}

// ListenerBound is published each time a listener becomes ready: at its start and
// after each restart.
type ListenerBound struct {
	Index int
	Addr  ma.Multiaddr
}

// AcceptFailed is published when a listener could not accept connections, mostly for want of
// file descriptors: at the first failure, and then once a minute while there are more.
type AcceptFailed struct {
	Addr ma.Multiaddr // the listener's
	Err  error        // of the last failure
	N    int          // failures since the last AcceptFailed
}

// StoreTroubled is published when the peer store cannot be written, and again when the
// reason changes. Changes of that time are in memory only, until StoreHealed.
type StoreTroubled struct {
	Since time.Time
	Err   error // an ErrStoreFailed
}

// ClockSet is published within ten seconds after the system's clock was set: forward by
// By, or back if By is negative. The measuring of durations is not affected. A sleep of the machine is no such step: see
// MachineSlept.
type ClockSet struct{ By time.Duration }

// MachineSlept is published within ten seconds after the machine has slept, such as a laptop that was closed. Measured
// durations do not have that time. It is known on Linux.
type MachineSlept struct{ For time.Duration }

// StatusChanged is published when the state of the node's connections changes.
type StatusChanged struct{ Status Status }

// AddressesChanged is published when the node tells others other addresses, because those of its
// machine have changed.
type AddressesChanged struct{ Addresses []ma.Multiaddr }

// ReachChanged is published when it has become known at which addresses others can connect to this
// node, or is known no more.
type ReachChanged struct{ Addresses []protocol.Reachability }

// TroubleBegan is published within a minute after something has become wrong with the node: the
// first notice of its code. A notice of Degraded or Failed is a reason of Node.Health, one of
// Warning is not. What comes and goes often is published less often.
type TroubleBegan struct{ Notice models.Notice }

// TroubleOver is published within a minute after a TroubleBegan of the code does not hold any more.
type TroubleOver struct {
	Code   string // of package inspect/codes, or of a part's own
	Lasted time.Duration
}

// PeersGiven is published when the user has added peers or addresses of a peer, or has
// imported peers.
type PeersGiven struct{}

// StoreHealed is published when everything is on the disk again.
type StoreHealed struct{}
