package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Message is a message that the application sends.
type Message struct {
	// To selects the peers that get a copy.
	To Strategy
	// Type is the application's message type: the receiver's actor that is
	// registered for it gets the message. Use types above 1,000 for your own
	// messages; the network's applications use the lower ones (spec: dht 12.3).
	Type int32
	// Body is the content. Do not change it after the call.
	Body []byte

	// Destination is the key whose holder the message is addressed to, for nodes
	// that relay it. Default: the strategy's key if the strategy has one and the
	// message is encrypted or propagated, else nobody in particular.
	Destination identity.PublicKey
	// Encrypt encrypts the message for the holder of the destination's key. Only
	// the holder can read it and learns the author for certain; relays learn
	// neither.
	Encrypt bool
	// Sign signs a clear message with the node's key, which every relay can read.
	// Without it the receiver knows only the peer that passed the message on.
	Sign bool

	// Expires is how long other nodes may relay the message. Default
	// [DefaultExpires].
	Expires time.Duration
	// Limit is how long the node tries to send, from when it accepted the message.
	// After it, unwritten copies have failed, and written copies without proof are
	// in doubt. Default and maximum: [DefaultLimit].
	Limit time.Duration
	// Tag is a number for tracing that all copies carry; it has no meaning.
	// Default: random.
	Tag uint64

	// control is the type of a message of the DHT itself, whose only part is Body; 0 for
	// a message of the application.
	control wire.MessageType
}

// Defaults of a [Message] (spec: dht 2.2, V15).
const (
	DefaultExpires = 3 * time.Hour
	DefaultLimit   = time.Minute
)

// For returns how long the node tries to send the message: Limit with its default
// and maximum applied.
func (m *Message) For() time.Duration {
	if m.Limit <= 0 || m.Limit > DefaultLimit {
		return DefaultLimit
	}
	return m.Limit
}
