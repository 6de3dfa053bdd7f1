package dhtpart

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// SendMessage asks the outbound actor to send a message over the DHT, on behalf of an
// actor. The send never waits for credit: without credit it fails as overloaded. Reply:
// dht.Sent, when every copy has its outcome. Lost is as in [dht.SendControl].
type SendMessage struct {
	ID      uint64 // chosen by the sender; dht.Sent repeats it
	Message dht.Message
	Lost    func()
}

// Discard calls Lost.
func (m SendMessage) Discard() {
	if m.Lost != nil {
		m.Lost()
	}
}

// relayMessage asks outbound to relay a message of a peer unchanged. Its credit
// returns when every copy of it has ended. No reply.
type relayMessage struct {
	Envelope wire.Envelope
	Hash     wire.Hash
	To       dht.Strategy
	Again    bool // relay only to the peers that an earlier copy did not reach
	Origin   actors.Origin

	unreached *dht.Unreached
	credit    passedCredit
}

// Discard returns the credit of a message that was not relayed, and lets a later copy of
// it be relayed. It does nothing if outbound has taken the message: the copies under way
// own the credit then.
func (m relayMessage) Discard() {
	if m.credit.permit.FinishPassed() {
		m.unreached.Reselect(m.Hash)
	}
}

// Source returns the peer that the message came from, and the connection: a panic on the
// message counts against that peer.
func (m relayMessage) Source() supervisor.Source { return m.Origin }

// sendQuietly asks outbound to send a message of the node's own, without an entry in the
// ledger and without the application's credit. The actor that sends it must bound how
// many there are. No reply.
type sendQuietly struct{ message dht.Message }

// notTaken asks the inbound actor of a peer to count a message towards a flood, because
// its handler had no use for it. notTaken holds the message's credit. No reply.
type notTaken struct {
	origin  actors.Origin
	release func()
}

// Finish returns the credit. The mailbox calls it when Receive has returned.
func (m notTaken) Finish() { m.release() }

// Discard returns the credit of a message that was not counted.
func (m notTaken) Discard() { m.release() }

// Source returns the peer and its connection: a panic on the message counts against that
// peer.
func (m notTaken) Source() supervisor.Source { return m.origin }
