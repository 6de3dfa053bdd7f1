package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Message is a message of the application's, to be sent.
type Message struct {
	// To says whom it is sent to.
	To Strategy
	// Type is the application's message type: at the receiver the actor that is
	// registered for it hears the message. Types of your own are best above
	// 1,000; the network's own applications use the lower ones (spec: dht 12.3).
	Type int32
	// Body is the message itself. It must not be changed after it was given.
	Body []byte

	// Destination is whom the message is addressed to, whoever passes it on.
	// Default: that of the strategy when it has one and the message is
	// encrypted or propagated, else anybody.
	Destination wire.Destination
	// Encrypt seals the message for the holder of the destination's key: only
	// he can read it, and he learns for sure who wrote it; those who pass it on
	// learn neither.
	Encrypt bool
	// Sign has a message in clear say who wrote it, for everybody who passes it
	// on. Without it the receiver knows only which peer it came from.
	Sign bool

	// Expires is for how long others may still pass it on. Default
	// [DefaultExpires].
	Expires time.Duration
	// Limit is for how long it is tried, counted from when it was accepted:
	// then what was not written has failed, and what was written and not proven
	// is in doubt. Default, and most, [DefaultLimit].
	Limit time.Duration
	// Tag is a number for tracing, which travels with all copies and means
	// nothing. Default: random.
	Tag uint64
}

// Defaults of a [Message] (spec: dht 2.2, V15).
const (
	DefaultExpires = 3 * time.Hour
	DefaultLimit   = time.Minute
)

// For returns for how long the message is tried: Limit with its default and
// bound applied.
func (m *Message) For() time.Duration {
	if m.Limit <= 0 || m.Limit > DefaultLimit {
		return DefaultLimit
	}
	return m.Limit
}
