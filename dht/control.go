package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Control is a message of the DHT itself that this node sends: its type and its content,
// the only part of its body. A Join and a discovery response are signed with the node's
// key (spec: dht 3.4).
type Control struct {
	Type wire.MessageType
	To   Strategy
	Part []byte // do not change it after the call

	// Destination is the key in the header; zero is unknown.
	Destination identity.PublicKey
	// Encrypt encrypts the message for the holder of Destination.
	Encrypt bool
	// Limit is how long the node tries to send, as [Message].Limit is.
	Limit time.Duration
}

// Sender is the name under which the actor is provided that sends [SendControl].
const Sender = "dht/sender"

// SendControl asks the actor that is provided as [Sender] to send a message of the DHT
// itself. It never waits for credit; without credit it fails as overloaded. Layers of the
// application do not see the message. Reply: [Sent], when every copy has its outcome.
type SendControl struct {
	ID      uint64 // chosen by the asker, the only one of the node; Sent repeats it
	Message Control
	// Lost is called if no actor handles the request, because no Sent follows then. It may
	// be nil, and must not block.
	Lost func()
}

// Discard calls Lost: the actor that sends has ended with the request in its mailbox or in
// hand.
func (m SendControl) Discard() {
	if m.Lost != nil {
		m.Lost()
	}
}

// CancelControl asks the actor that is provided as [Sender] to end the send of a [SendControl]
// with that ID. Its copies fail, or are in doubt if they may have been written. [Sent] follows
// as ever. It does nothing if the send has ended.
type CancelControl struct{ ID uint64 }

// RelayHeard asks the actor that sent a [Heard] to relay that message unchanged, within
// the limits for relayed messages of its source. It holds the message's credit until then.
// Make it with [NewRelayHeard]. No
// reply.
type RelayHeard struct {
	Heard
	To Strategy
}

// IgnoreHeard asks the actor that sent a [Heard] to count the message towards a flood of
// its source, because this node had no use for it. Make it with [NewIgnoreHeard]. No
// reply.
type IgnoreHeard struct{ Heard }

// NewRelayHeard returns the request to relay a message to what a strategy selects. The
// request takes over the message's credit.
func NewRelayHeard(h Heard, to Strategy) RelayHeard {
	h.Credit = h.Credit.HandOver()
	return RelayHeard{h, to}
}

// NewIgnoreHeard returns the request to count a message. The request takes over the
// message's credit.
func NewIgnoreHeard(h Heard) IgnoreHeard {
	h.Credit = h.Credit.HandOver()
	return IgnoreHeard{h}
}

// Finish does nothing: the actor that relays the message gives the credit back.
func (m RelayHeard) Finish() {}

// Finish gives the credit back. The mailbox calls it when Receive has returned.
func (m IgnoreHeard) Finish() { m.Credit.Discard() }

// AsMessage returns the message in the form that an [Outbound] sends.
func (c Control) AsMessage() Message {
	return Message{To: c.To, Body: c.Part, Destination: c.Destination, Encrypt: c.Encrypt, Limit: c.Limit, control: c.Type}
}
