package actors

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Sent reports the outcome of one send.
type Sent struct {
	ID      uint64
	Peer    identity.NodeID
	Outcome protocol.Outcome
}

// Credit is the part of a peer's credit that a message holds.
type Credit interface {
	Finish()                // gives the credit back, unless it is kept: Receive has returned
	Discard()               // gives the credit back: no actor handles the message
	Keep() (release func()) // keeps the credit beyond Finish, until release
}

// Received is one message of a peer. It holds some of that peer's credit until Receive
// returns, or longer if Keep was called. Nothing is read from a peer without credit.
type Received struct {
	From identity.PublicKey
	Peer identity.NodeID
	Conn uint64
	Body []byte

	// ID is the message's, if its sender gave it one; see [MessageID].
	ID MessageID
	// Topic is the word that its sender gave it; empty: none.
	Topic string

	// Credit is what the message holds of its peer's credit; nil: nothing.
	Credit Credit
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m Received) Finish() {
	if m.Credit != nil {
		m.Credit.Finish()
	}
}

// Discard gives the credit back if no actor has handled the message.
func (m Received) Discard() {
	if m.Credit != nil {
		m.Credit.Discard()
	}
}

// Source makes a panic on this message count against the peer.
func (m Received) Source() supervisor.Source { return Origin{m.Peer, m.Conn} }

// Keep holds the credit after Receive has returned, until release is called. It is for
// handlers that pass the body on to slow work. release may be called from any goroutine,
// and more than once. A restart of the actor does not call it: if the actor stores
// release, pass m.Refuse to [supervisor.OwnFunc], which calls it when the actor ends. After release it does nothing.
func (m Received) Keep() (release func()) {
	if m.Credit == nil {
		return func() {}
	}
	return m.Credit.Keep()
}

// Refuse gives the credit back, kept or not, of a message that is not handled. If its sender waits for
// that, the outcome has failed.
func (m Received) Refuse() {
	if r, ok := m.Credit.(interface{ Refuse() }); ok {
		r.Refuse()
	} else {
		m.Discard()
	}
}

// MessageID names a message among those of its sender, whose public key makes it unique. The sender gives
// one to a message that it sends with Resend, Kept or Handled; the id of any other is zero. All copies of
// a message have the same id, also after a restart of the receiver.
type MessageID struct {
	Epoch  uint64 // of the sender's numbers; random
	Number uint64 // grows by one with each message to this node
}

// IsZero reports whether a message has no id.
func (id MessageID) IsZero() bool { return id == MessageID{} }

// String returns the id as text without spaces, such as "9f0c2b1d00e4a7c3-12"; the zero id is empty.
func (id MessageID) String() string {
	if id.IsZero() {
		return ""
	}
	return fmt.Sprintf("%016x-%d", id.Epoch, id.Number)
}

// SubstreamOpened hands over a substream whose protocol both sides have agreed on. It
// is the reply to a request of this node, and the message to the protocol's actor when a peer
// has opened a substream. The receiver takes the stream first. If a peer opened it and
// nobody takes it within 10 s, the stream is reset.
//
// An actor that has written its answer calls CloseWrite; Close may follow at once.
// Close without CloseWrite resets the stream. Remote calls (package rpc) do all of this
// for a request and its answer.
type SubstreamOpened struct {
	Token     uint64 // of this node's request; 0 when the peer opened it
	Peer      identity.NodeID
	Key       identity.PublicKey
	Conn      *ConnRef
	Protocol  protocol.ID
	Direction protocol.Direction
	Stream    *supervisor.Handover[protocol.Stream]

	// Messaging is what the node's own messaging knows of the substream; nil for others.
	Messaging any
}

// Discard resets the stream unless it was taken.
func (m SubstreamOpened) Discard() { m.Stream.Discard() }

// Source returns the peer and the connection that a panic on this message is charged
// to; nil if this node opened the substream.
func (m SubstreamOpened) Source() supervisor.Source {
	if m.Direction == protocol.Outbound {
		return nil
	}
	return Origin{m.Peer, m.Conn.ID}
}

// Origin names the peer that chose the content of a message, and the connection on
// which the message came. A contained panic counts against this peer and connection. A message of your
// own that embeds the Origin of what a peer has sent needs no method Source.
type Origin struct {
	Peer identity.NodeID
	Conn uint64 // 0: none
}

// Source returns the origin, or nil if it names nobody.
func (o Origin) Source() supervisor.Source {
	if o == (Origin{}) {
		return nil
	}
	return o
}

// Outsider marks an Origin as a [supervisor.Source].
func (Origin) Outsider() {}
