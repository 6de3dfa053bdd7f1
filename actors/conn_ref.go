package actors

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/mux"
	"github.com/gamelan-p2p/gamelan/transport/upgrade"
)

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
	return slices.Contains(r.Protocols, id)
}
