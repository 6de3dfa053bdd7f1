package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

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
