package dht

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// SendMessage is the message form of a send over the DHT, for actors: request it
// from the outbound actor. It never waits: without credit it fails as overloaded.
// Reply: dht.Sent, when every copy has its outcome.
type SendMessage struct {
	ID      uint64 // yours; dht.Sent repeats it
	Message dht.Message
}

// forwardMessage has outbound pass on a message of a peer for somebody else, as
// it came. Its credit goes back when every copy of it has ended.
type forwardMessage struct {
	Envelope wire.Envelope
	Hash     wire.Hash
	To       dht.Strategy
	Again    bool // to those alone that an earlier copy did not reach
	Origin   actors.Origin

	unreached *dht.Unreached
	credit    passedCredit
}

// Discard gives the credit of a message back that nobody passed on, so that a
// later copy of it is passed on anew. On a message whose copies are under way it
// has no effect: they have its credit.
func (m forwardMessage) Discard() {
	if m.credit.permit.FinishPassed() {
		m.unreached.Anew(m.Hash)
	}
}

// Source makes a panic on it count against the peer it came from.
func (m forwardMessage) Source() any { return m.Origin }

// sendQuietly has outbound send a message of the node's own accord that is in no
// ledger and takes no credit of the application's; whoever sends it bounds how
// many. No reply.
type sendQuietly struct{ message dht.Message }

// notTaken has the inbound actor of a peer count a message that its handler had
// no use for as one that no handler took. It holds the message's credit.
type notTaken struct {
	origin  actors.Origin
	release func()
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m notTaken) Finish() { m.release() }

// Discard gives the credit back of a message that nobody counted.
func (m notTaken) Discard() { m.release() }

// Source makes a panic on it count against the peer.
func (m notTaken) Source() any { return m.origin }
