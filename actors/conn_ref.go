package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
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

	link link.Link
}

// Remote returns where the other end is: Addr with names resolved.
func (r *ConnRef) Remote() ma.Multiaddr { return r.link.Remote }

// Link returns what the node's own actors share about the connection.
func (r *ConnRef) Link() *link.Link { return &r.link }

// Ended reports whether the session is over. It also returns true before the conn actor
// has taken the session, and false for a copy in the history of closed connections.
func (r *ConnRef) Ended() bool { return r.link.Live != nil && r.link.Live.Session.Load() == nil }

// Retired reports whether another connection has taken the place of this one, so that
// nothing new may begin on it.
func (r *ConnRef) Retired() bool { return r.link.Live != nil && r.link.Live.Retired.Load() }

// CallsUnderWay returns how many RPC calls run on the connection, in both directions.
func (r *ConnRef) CallsUnderWay() int {
	if r.link.Live == nil {
		return 0
	}
	return int(r.link.Live.Calls.Load())
}

// Calling reports whether an RPC call runs on the connection.
func (r *ConnRef) Calling() bool { return r.CallsUnderWay() > 0 }

// NumStreams returns how many substreams are open.
func (r *ConnRef) NumStreams() int {
	if r.link.Live == nil {
		return 0
	}
	if s := r.link.Live.Session.Load(); s != nil {
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
	if r.link.Live == nil {
		return false
	}
	s := r.link.Live.Session.Load()
	return s != nil && s.WriteBlocked() >= stalledAfter
}

// Listed returns the protocols that the peer accepts: those of its identity message, or, of a node
// of this library, the last list that it has sent since (spec: V 41).
func (r *ConnRef) Listed() []protocol.ID {
	if r.link.Live != nil {
		if list := r.link.Live.Listed.Load(); list != nil {
			return *list
		}
	}
	return r.Protocols
}

// Accepts reports whether the peer lists the protocol: see Listed.
func (r *ConnRef) Accepts(id protocol.ID) bool { return slices.Contains(r.Listed(), id) }

// Told returns the protocols that this node's identity message has listed on the connection.
func (r *ConnRef) Told() []protocol.ID { return r.link.Told }

// NoDHT reports whether the peer said that it is a node of this library which runs
// without the DHT.
func (r *ConnRef) NoDHT() bool { return r.link.NoDHT }

// Origin returns the source of an inbound connection.
func (r *ConnRef) Origin() peerstore.Origin { return r.link.Origin }

// Ours reports whether the peer is a node of this library.
func (r *ConnRef) Ours() bool { return useragent.Ours(r.UserAgent) }

// Useful reports whether the connection was of use to this node. That is so if a message
// for this node came on it, this node sent a plain message, a call of either side ran, a
// substream of a protocol other than messages and calls was opened by either side, or a
// program here wanted the peer connected.
func (r *ConnRef) Useful() bool { return r.link.Live != nil && r.link.Live.Useful.Load() }

// Asked reports whether a program, or a message or call to the peer, has asked for the
// connection. This node has made other outbound connections of its own accord.
func (r *ConnRef) Asked() bool { return r.link.Live != nil && r.link.Live.Asked.Load() }
