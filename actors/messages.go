package actors

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
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

// ConnRef names one live connection. It is never changed after it was made.
type ConnRef struct {
	ID        uint64 // unique in the node's life
	Peer      identity.NodeID
	Key       identity.PublicKey
	PID       *actor.PID // of its conn actor
	Direction protocol.Direction
	Addr      ma.Multiaddr
	Transport string
	Features  identity.Features
	Protocols []protocol.ID // what the peer says it accepts
	UserAgent string
	Timings   upgrade.Timings
	Since     time.Time

	noDHT bool   // the peer is a node of this library that runs without the DHT
	place string // where the peer is, as far as that can be told
	// origin is where an inbound one comes from; 0 for others.
	origin peerstore.Origin
	live   *liveConn
}

// liveConn is what can be asked of a connection without asking its actor.
type liveConn struct {
	session atomic.Pointer[mux.Session] // set when its actor starts; never used to write
	calls   atomic.Int32                // RPC calls that run, of either side
	retired atomic.Bool                 // another one has taken its place
	useful  atomic.Bool                 // see Useful
	leaving atomic.Bool                 // it makes room for another peer's
}

// over lets go of the session, whoever still has the ref, and returns what is
// remembered of the connection: its PID would lead to the actor for as long as
// it is kept.
func (r *ConnRef) over() *ConnRef {
	if r.live != nil {
		r.live.session.Store(nil)
	}
	past := *r
	past.live, past.PID = nil, actor.NewPID(r.PID.Address, r.PID.Id)
	return &past
}

// Ended reports whether the session is over.
func (r *ConnRef) Ended() bool { return r.live != nil && r.live.session.Load() == nil }

func (r *ConnRef) retire() {
	if r.live != nil {
		r.live.retired.Store(true)
	}
}

// Retired reports whether nothing new is to begin on the connection.
func (r *ConnRef) Retired() bool { return r.live != nil && r.live.retired.Load() }

// CallBegins notes that an RPC call runs on the connection, until CallEnds: it is not
// idle.
func (r *ConnRef) CallBegins() {
	if r.live != nil {
		r.live.calls.Add(1)
		r.use()
	}
}

// CallEnds is the end of a call that CallBegins noted.
func (r *ConnRef) CallEnds() {
	if r.live != nil {
		r.live.calls.Add(-1)
	}
}

// Calling reports whether an RPC call runs on the connection.
func (r *ConnRef) Calling() bool { return r.live != nil && r.live.calls.Load() > 0 }

// NumStreams returns how many substreams are open.
func (r *ConnRef) NumStreams() int {
	if r.live == nil {
		return 0
	}
	if s := r.live.session.Load(); s != nil {
		return s.NumStreams()
	}
	return 0
}

// stalledAfter is how long a write waits for a connection that is stalled. Busy
// peers may stop reading for so long, so it ends none by itself.
const stalledAfter = 10 * time.Second

// Stalled reports whether a write has waited for the connection for 10 s or longer.
func (r *ConnRef) Stalled() bool {
	if r.live == nil {
		return false
	}
	s := r.live.session.Load()
	return s != nil && s.WriteBlocked() >= stalledAfter
}

// Accepts reports whether the peer listed the protocol in its identity message.
func (r *ConnRef) Accepts(id protocol.ID) bool {
	for _, p := range r.Protocols {
		if p == id {
			return true
		}
	}
	return false
}

// CloseReason says why a connection ended and who ended it.
type CloseReason struct {
	Code string // one of the Close constants
	By   string // "us", "peer" or "network"
	Err  error  // detail; may be nil
}

// String is the reason in words.
func (r CloseReason) String() string {
	s := r.Code
	if r.By != "" {
		s += " by " + r.By
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// Why connections end.
const (
	CloseRequested = "requested"         // Disconnect was called
	CloseShutdown  = "shutdown"          // the node is closing
	CloseTieBreak  = "duplicate"         // another connection to the peer survived
	CloseBanned    = "banned"            // the peer is banned
	CloseViolation = "violation"         // the peer broke the rules
	CloseEnded     = "ended"             // the other side closed it or the network cut it
	CloseNoPong    = "no pong"           // the peer answers no pings
	CloseStalled   = "stalled"           // the peer took nothing for too long
	ClosePanics    = "repeated panics"   // its messages made actors of the node's own panic
	CloseBlamed    = "blamed"            // by the application, three times in a minute
	CloseChurn     = "churn"             // too many of its substreams ended without an agreed protocol
	CloseCrashed   = "connection failed" // its actor failed; see the tree
	CloseReaped    = "reaped"            // idle, and there are too many connections
	CloseReplaced  = "replaced"          // idle and never of use, and all places for inbound connections were taken
	CloseMinimised = "minimised"         // others are closer, and only so many are kept
)

// Orderly reports whether a close for this reason lets messaging substreams end
// first (spec: comms 146).
func (r CloseReason) Orderly() bool {
	switch r.Code {
	case CloseRequested, CloseShutdown, CloseReaped, CloseMinimised, CloseReplaced:
		return true
	}
	return false
}

// sparesUsed reports whether a close for this reason is one of a connection that
// nobody uses.
func (r CloseReason) sparesUsed() bool {
	return r.Code == CloseReaped || r.Code == CloseMinimised
}

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

// RequestBan asks connectivity for a ban that no rule led to: a user's, or an
// application protocol's. A peer on the allow list is not banned. Reply:
// PeerBanned, after the disk has it.
type RequestBan struct {
	Token  uint64
	Peer   identity.NodeID
	For    time.Duration
	Reason string
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

// ClockSet is published when the system's clock was set forward by so much, or
// back if it is negative, at most ten seconds later. What measures durations does
// not notice.
type ClockSet struct{ By time.Duration }

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

// DialAttempt is one try of one address.
type DialAttempt struct {
	At    time.Time
	Addr  ma.Multiaddr
	Stage string // how far it came: "tcp", "noise", …; "" when it succeeded
	Err   error
	Took  time.Duration

	Handshake time.Duration // of Took, what the handshake and identity exchange took

	By string // who asked for the dial
}

// DialPeer asks the dialer for a connection. Reply: PeerDialed, with the
// connection that survived.
type DialPeer struct {
	Token     uint64
	Peer      identity.NodeID
	Automatic bool // the node's own idea: shares a budget, respects a busy peer
	Reply     *actor.PID
	By        string // who asks, for the list of attempts; "" is the API

	system *actor.ActorSystem
	again  bool // the connection that an earlier dial brought was lost at once
}

// NewDialPeer makes the request; reply is who hears the answer, by who asks.
func NewDialPeer(sys *actor.ActorSystem, token uint64, peer identity.NodeID, reply *actor.PID, by string) DialPeer {
	return DialPeer{Token: token, Peer: peer, Reply: reply, By: by, system: sys}
}

// Discard answers in the place of a dialer that is gone.
func (m DialPeer) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, PeerDialed{Token: m.Token, Peer: m.Peer, Err: ErrClosing})
	}
}

// PeerDialed replies to DialPeer.
type PeerDialed struct {
	Token uint64
	Peer  identity.NodeID
	Conn  *ConnRef // nil if Err is not
	Err   error
}

// CancelDial takes back the DialPeer with this token and reply, which is
// answered with ErrDialCancelled. The dial goes on if others want the peer.
type CancelDial struct {
	Peer  identity.NodeID
	Token uint64
	Reply *actor.PID // nil: whoever sent it; for tokens of [Env.NewID]
}

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

// DialFailed is published when a dial came to nothing.
type DialFailed struct {
	Peer     identity.NodeID
	Attempts []DialAttempt
	Err      error
}

// InboundRejected is published when an inbound connection did not get through
// its set-up.
type InboundRejected struct {
	Addr  ma.Multiaddr
	Peer  identity.NodeID // zero if it did not get that far
	Stage string
	Err   error
}

// ListenerBound is published when a listener is ready, also again after a
// restart.
type ListenerBound struct {
	Index int
	Addr  ma.Multiaddr
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

// OpenSubstream asks a conn for a substream that speaks the first of the
// protocols the peer accepts. Reply: SubstreamOpened or SubstreamFailed.
type OpenSubstream struct {
	Token uint64
	IDs   []protocol.ID
	Reply *actor.PID

	system *actor.ActorSystem
}

// NewOpenSubstream makes the request; reply is who hears the answer.
func NewOpenSubstream(sys *actor.ActorSystem, token uint64, reply *actor.PID, ids ...protocol.ID) OpenSubstream {
	return OpenSubstream{Token: token, IDs: ids, Reply: reply, system: sys}
}

// Discard answers in the place of a connection that is gone.
func (m OpenSubstream) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, SubstreamFailed{Token: m.Token, Err: ErrConnectionClosed, ConnectionLost: true})
	}
}

// SubstreamOpened hands over a substream that has agreed on its protocol. It is
// what a protocol actor hears when a peer opens one, and the reply to
// OpenSubstream. Take the stream first; one that nobody takes within 10 s is
// reset. Whoever answers on it ends with CloseWrite, and may Close at once then;
// Close alone resets it. For a request and its answer there is package rpc, which
// does all of that.
type SubstreamOpened struct {
	Token     uint64 // of the OpenSubstream; 0 when the peer opened it
	Peer      identity.NodeID
	Key       identity.PublicKey
	Conn      *ConnRef
	Protocol  protocol.ID
	Direction protocol.Direction
	Stream    *supervisor.Handover[protocol.Stream]
}

// Discard resets the stream unless somebody took it.
func (m SubstreamOpened) Discard() { m.Stream.Discard() }

// Source makes a panic on it count against the peer.
func (m SubstreamOpened) Source() any {
	if m.Direction == protocol.Outbound {
		return nil
	}
	return Origin{m.Peer, m.Conn.ID}
}

// SubstreamFailed is the other reply to OpenSubstream.
type SubstreamFailed struct {
	Token          uint64
	Err            error
	ConnectionLost bool // the connection is gone: dial again
}

// ConfirmWrites asks a conn for proof that the peer's multiplexer has read all
// that was written on the connection so far. Reply: WritesConfirmed, and none
// if the connection ends first.
type ConfirmWrites struct {
	Mark      uint64
	NotBefore time.Time // a fresh substream: no ping before this time counts
	Reply     *actor.PID
}

// WritesConfirmed replies to ConfirmWrites. A later mark covers earlier ones.
type WritesConfirmed struct {
	Conn uint64
	Mark uint64
}

// finishSubstreams asks a messaging session to end its substreams on a
// connection that is about to be closed. Reply: substreamsFinished.
type finishSubstreams struct {
	Conn  uint64
	Reply *actor.PID

	system *actor.ActorSystem
}

// Discard answers in the place of a session that is gone.
func (m finishSubstreams) Discard() { m.system.Root.Send(m.Reply, substreamsFinished{m.Conn}) }

type substreamsFinished struct{ Conn uint64 }

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

// WantPeer asks connectivity to keep the peer connected on behalf of an owner.
// ReleasePeer takes the wish back. Neither has a reply.
type (
	WantPeer struct {
		Peer  identity.NodeID
		Owner string
	}
	ReleasePeer struct {
		Peer  identity.NodeID
		Owner string
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

// AddProtocol makes inbound substreams of a protocol go to an actor. Sent to
// services. Reply: ProtocolAdded.
type AddProtocol struct {
	Token uint64
	ID    protocol.ID
	PID   *actor.PID
}

// ProtocolAdded replies to AddProtocol.
type ProtocolAdded struct {
	Token uint64
	ID    protocol.ID
	Err   error
}

// RemoveProtocol ends that, if the protocol still goes to PID. Reply:
// ProtocolRemoved.
type RemoveProtocol struct {
	Token uint64
	ID    protocol.ID
	PID   *actor.PID
}

// ProtocolRemoved replies to RemoveProtocol.
type ProtocolRemoved struct {
	Token uint64
	ID    protocol.ID
}

// SetAddresses changes the addresses that the node advertises; the next
// identity exchange carries a fresh signature over them (spec: comms 58). Sent
// to services. Reply: AddressesSet.
type SetAddresses struct{ Addresses []ma.Multiaddr }

// AddressesSet replies to SetAddresses.
type AddressesSet struct{ Err error }

// Register asks extensions to run a user's actor. Reply: Registered.
type Register struct {
	Token uint64
	Name  string      // path below extensions
	ID    protocol.ID // "" for the handler of plain messages, and with Actor or Type
	Actor string      // the name of an actor that speaks no protocol
	Type  *int32      // a message type of the DHT instead; neither ID nor Actor then
	New   func() actor.Actor
	// OnPanic is what a panic does to the actor.
	OnPanic protocol.PanicPolicy
}

// Registered replies to Register.
type Registered struct {
	Token uint64
	PID   *actor.PID
	Err   error
}

// Unregister stops a user's actor; its streams are reset. Reply: Unregistered.
type Unregister struct {
	Token uint64
	ID    protocol.ID
	Type  *int32 // instead of ID
}

// Unregistered replies to Unregister.
type Unregistered struct {
	Token uint64
	Err   error
}

// AwaitReady asks extensions to say when everything registered is in the
// protocol table. Reply: Ready.
type AwaitReady struct{}

// Ready replies to AwaitReady.
type Ready struct{}

// ProtocolFailed is published when a user's actor has failed. It is tried again
// after 30 s, or, when it was Stopped by its panic policy, not before it is
// registered again.
type ProtocolFailed struct {
	Name    string
	ID      protocol.ID
	Err     error
	Stopped bool
}

// SendBody is the message form of a send, for actors. Send it to the actor of a
// [Messaging], or shorter to the session itself through [Env.Enqueue]. Reply: Sent.
// It never waits: without credit it ends Failed(overloaded).
type SendBody struct {
	ID     uint64 // yours; Sent repeats it
	Peer   identity.NodeID
	Body   []byte // not changed after it was sent
	Resend bool
}

// Sent tells the one outcome of one send.
type Sent struct {
	ID      uint64
	Peer    identity.NodeID
	Outcome protocol.Outcome
}

// withdraw says that the sender of a message waits no longer.
type withdraw struct {
	ID   uint64
	Peer identity.NodeID
}

// Received is one message of a peer. Its credit goes back when Receive returns,
// or later if Keep was called: until then it counts against that peer, and a
// peer without credit is not read from.
type Received struct {
	From identity.PublicKey
	Peer identity.NodeID
	Conn uint64
	Body []byte

	permit *credit.Permit
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m Received) Finish() { m.permit.Finish() }

// Discard gives the credit of a message back that nobody handled.
func (m Received) Discard() { m.permit.Discard() }

// Source makes a panic on it count against the peer.
func (m Received) Source() any { return Origin{m.Peer, m.Conn} }

// Keep holds the credit after Receive has returned, until release is called:
// for handlers that pass the body on to slow work. Release may be called from
// any goroutine, more than once. A restart of the actor calls it for nobody: have
// [supervisor.Own] do so when it is kept in the actor.
func (m Received) Keep() (release func()) { return m.permit.Keep() }

// ids hands out numbers that are unique in the node's life.
type ids struct{ last atomic.Uint64 }

func (n *ids) next() uint64 { return n.last.Add(1) }
