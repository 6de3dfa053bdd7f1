package actors

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// SendBody asks for a message to be sent to a peer. Actors send it to the actor of a
// [Messaging]; [Messaging.Enqueue] is a shorter way, directly to the session. Reply: Sent.
// The send never waits for credit: without credit the outcome is Failed(overloaded).
type SendBody struct {
	ID     uint64 // yours; Sent repeats it
	Peer   identity.NodeID
	Body   []byte // must not be changed after the send
	Resend bool
}

// Sent reports the outcome of one send.
type Sent struct {
	ID      uint64
	Peer    identity.NodeID
	Outcome protocol.Outcome
}

// withdraw reports that the sender of a message no longer waits.
type withdraw struct {
	ID   uint64
	Peer identity.NodeID

	protocol *Messaging
	again    bool
}

// Discard is called when the session has ended. Its queue outlives it: a message that is
// still there is withdrawn, and a session that has begun since is told.
func (m withdraw) Discard() {
	m.protocol.accounts.withdraw(m.Peer, m.ID)
	if !m.again {
		m.again = true
		m.protocol.env.System.Root.Send(m.protocol.PID, m)
	}
}

// Received is one message of a peer. It holds some of that peer's credit until Receive
// returns, or longer if Keep was called. Nothing is read from a peer without credit.
type Received struct {
	From identity.PublicKey
	Peer identity.NodeID
	Conn uint64
	Body []byte

	permit *credit.Permit
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m Received) Finish() { m.permit.Finish() }

// Discard gives the credit back if no actor has handled the message.
func (m Received) Discard() { m.permit.Discard() }

// Source makes a panic on this message count against the peer.
func (m Received) Source() any { return Origin{m.Peer, m.Conn} }

// Keep holds the credit after Receive has returned, until release is called. It is for
// handlers that pass the body on to slow work. release may be called from any goroutine,
// and more than once. A restart of the actor does not call it: if the actor stores
// release, pass it to [supervisor.OwnFunc], which calls it when the actor ends.
func (m Received) Keep() (release func()) { return m.permit.Keep() }
