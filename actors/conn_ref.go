package actors

import (
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// ConnRef describes one connection. Its exported fields never change.
type ConnRef struct {
	ID        uint64 // unique while the node runs
	Peer      identity.NodeID
	Key       identity.PublicKey
	PID       *actor.PID // the conn actor
	Direction protocol.Direction
	Addr      ma.Multiaddr
	Transport string
	Features  identity.Features
	Protocols []protocol.ID // what the peer lists in its identity message
	UserAgent string
	Timings   transport.Timings
	Since     time.Time

	told    []protocol.ID // what this node's identity message has listed
	noDHT   bool          // the peer is a node of this library that runs without the DHT
	answers bool          // the peer accepts a messaging substream when its session has taken it
	place   string        // where the peer seems to be: see func place
	// origin is where an inbound connection comes from; 0 for an outbound one.
	origin peerstore.Origin
	local  netip.Addr   // this machine's end; not valid if it has no IP address
	remote ma.Multiaddr // where the other end is, names resolved
	live   *liveConn
}

// liveConn is the state of a connection that any goroutine may read without asking the
// conn actor.
type liveConn struct {
	session atomic.Pointer[mux.Session]   // set when the conn actor starts, nil after the end; nobody writes on it
	calls   atomic.Int32                  // RPC calls under way, of both sides
	retired atomic.Bool                   // another connection has taken its place
	lists   atomic.Int32                  // see TakeList
	useful  atomic.Bool                   // see Useful
	used    atomic.Bool                   // see TakeUse
	asked   *atomic.Bool                  // see Asked; shared with the connections whose place this one has taken
	leaving atomic.Bool                   // it is being closed to make room for another peer's connection
	closing atomic.Pointer[CloseReason]   // why this node closes it, before it does so
	listed  atomic.Pointer[[]protocol.ID] // see Listed; nil: what the identity message lists
}

// Remote returns where the other end is: Addr with names resolved.
func (r *ConnRef) Remote() ma.Multiaddr { return r.remote }

func newLiveConn() *liveConn { return &liveConn{asked: new(atomic.Bool)} }

// over drops the session and returns a copy of the ref for the history. A ref that
// somebody keeps would otherwise keep the session in memory. The copy gets a new PID,
// because the old one has a cached pointer to the actor.
func (r *ConnRef) over() *ConnRef {
	if r.live != nil {
		r.live.session.Store(nil)
	}
	past := *r
	past.live, past.PID = nil, actor.NewPID(r.PID.Address, r.PID.Id)
	return &past
}

// Ended reports whether the session is over. It also returns true before the conn actor
// has taken the session, and false for a copy in the history of closed connections.
func (r *ConnRef) Ended() bool { return r.live != nil && r.live.session.Load() == nil }

// confirmNothing has the peers see nothing confirmed that arrives from now on.
// A pong that is on its way already is for bytes that have arrived before.
func (e *env) confirmNothing() { e.silent.Store(true) }

// closes notes why this node closes the connection.
func (r *ConnRef) closes(why *CloseReason) {
	if r.live != nil {
		r.live.closing.Store(why)
	}
}

// lost returns why the connection was lost, for users of its substreams: err, or, if this
// node has closed the connection, why it did so. To a substream that is only a connection
// which this side has closed.
func (r *ConnRef) lost(err error) error {
	if r == nil || r.live == nil || !errors.Is(err, mux.ErrSessionEnded) {
		return err
	}
	why := r.live.closing.Load()
	if why == nil || why.Code == CloseEnded {
		return err
	}
	return &lostError{*why, err}
}

// lostError is the error of a substream on a connection that this node has closed. The
// error of the substream is left out of the text.
type lostError struct {
	why CloseReason
	err error
}

func (e *lostError) Error() string { return e.why.String() }

// Unwrap returns the error of the substream and, if there is one, that of the close.
func (e *lostError) Unwrap() []error {
	if e.why.Err == nil {
		return []error{e.err}
	}
	return []error{e.err, e.why.Err}
}

// succeed takes over from the connection whose place this one takes that somebody has asked
// for it. Only conns calls it, before it writes r into the directory.
func (r *ConnRef) succeed(old *ConnRef) {
	if r.live != nil && old.live != nil && r.live.asked != old.live.asked {
		r.live.asked = old.live.asked
	}
}

func (r *ConnRef) retire() {
	if r.live != nil {
		r.live.retired.Store(true)
	}
}

// Retired reports whether another connection has taken the place of this one, so that
// nothing new may begin on it.
func (r *ConnRef) Retired() bool { return r.live != nil && r.live.retired.Load() }

// CallBegins notes that an RPC call of a service begins. The connection is in use until
// the matching CallEnds. It counts as useful from now on, unless the service is that of
// the network itself.
func (r *ConnRef) CallBegins(service protocol.ID) {
	if r.live != nil {
		r.live.calls.Add(1)
		if service != protocol.PeersID {
			r.use()
		}
	}
}

// CallEnds notes the end of a call that CallBegins has noted.
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

// stalledAfter is how long a write has to wait until the connection counts as stalled.
// A busy peer may stop reading for that long, so a stalled connection is not closed for
// this alone.
const stalledAfter = 10 * time.Second

// Stalled reports whether a write has waited for the connection for 10 s or longer.
func (r *ConnRef) Stalled() bool {
	if r.live == nil {
		return false
	}
	s := r.live.session.Load()
	return s != nil && s.WriteBlocked() >= stalledAfter
}

// Listed returns the protocols that the peer accepts: those of its identity message, or, of a node
// of this library, the last list that it has sent since (spec: V 41).
func (r *ConnRef) Listed() []protocol.ID {
	if r.live != nil {
		if list := r.live.listed.Load(); list != nil {
			return *list
		}
	}
	return r.Protocols
}

// SetListed sets what Listed returns.
func (r *ConnRef) SetListed(list []protocol.ID) {
	if r.live != nil {
		r.live.listed.Store(&list)
	}
}

// TakeList counts a list of protocols that the peer sends, unless there were so many already. Only
// one actor may call it.
func (r *ConnRef) TakeList(most int) bool {
	if r.live == nil || int(r.live.lists.Load()) >= most {
		return false
	}
	r.live.lists.Add(1)
	return true
}

// Accepts reports whether the peer lists the protocol: see Listed.
func (r *ConnRef) Accepts(id protocol.ID) bool { return slices.Contains(r.Listed(), id) }

// Violated returns what is sent to connectivity when the peer broke the rules on the connection.
func (r *ConnRef) Violated(err error) PeerViolated {
	return PeerViolated{Peer: r.Peer, Key: r.Key, Conn: r.ID, Err: err, Origin: r.origin}
}

// Told returns the protocols that this node's identity message has listed on the connection.
func (r *ConnRef) Told() []protocol.ID { return r.told }
