package messengers

import (
	"github.com/gamelan-p2p/gamelan/identity"
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

// withdraw reports that the sender of a message no longer waits.
type withdraw struct {
	ID   uint64
	Peer identity.NodeID

	protocol *Messaging
	again    bool
}

// Discard is called when the session has ended. Its queue outlives it: a message that is
// still there is withdrawn, and a session that has begun since hears of it.
func (m withdraw) Discard() {
	m.protocol.accounts.withdraw(m.Peer, m.ID)
	if !m.again {
		m.again = true
		m.protocol.room.System.Root.Send(m.protocol.PID, m)
	}
}
