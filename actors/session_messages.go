package actors

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// SendBody is the message form of a send, for actors. Send it to the actor of a
// [Messaging], or shorter to the session itself by [Messaging.Enqueue]. Reply: Sent.
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
