package wire

import (
	"encoding/hex"
	"fmt"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Version is the protocol version of the messages that we write. We read version 1 as
// well (spec: dht 2.2).
const Version = 2

// MessageType is the purpose of a message (spec: dht 2.2).
type MessageType int32

const (
	TypeDomain            MessageType = 0  // carries a message of an application
	TypeJoin              MessageType = 1  // announces the sender's addresses
	TypeDiscovery         MessageType = 2  // asks the holder of a key for its addresses
	TypeDiscoveryResponse MessageType = 3  // answers a discovery
	TypeStoredRequest     MessageType = 20 // asks for messages stored for the sender
	TypeStoredMessages    MessageType = 21 // carries stored messages
)

// Valid reports whether the type exists.
func (t MessageType) Valid() bool {
	return t >= TypeDomain && t <= TypeDiscoveryResponse || t == TypeStoredRequest || t == TypeStoredMessages
}

// Relayable reports whether nodes relay encrypted messages of the type (spec: dht 6).
func (t MessageType) Relayable() bool {
	return t == TypeDomain || t == TypeJoin || t == TypeDiscovery
}

// String returns for instance "domain" or "discovery response".
func (t MessageType) String() string {
	switch t {
	case TypeDomain:
		return "domain"
	case TypeJoin:
		return "join"
	case TypeDiscovery:
		return "discovery"
	case TypeDiscoveryResponse:
		return "discovery response"
	case TypeStoredRequest:
		return "request for stored messages"
	case TypeStoredMessages:
		return "stored messages"
	}
	return fmt.Sprintf("type %d", int32(t))
}

// Flags are the flag bits of a header.
type Flags uint32

// Encrypted is the flag of a body that is encrypted for the destination.
const Encrypted Flags = 1

// String returns "clear", "encrypted", or the bits.
func (f Flags) String() string {
	switch f {
	case 0:
		return "clear"
	case Encrypted:
		return "encrypted"
	}
	return fmt.Sprintf("flags %#x", uint32(f))
}

// Destination is the addressee of a message: the holder of a key or, as the zero value,
// anybody, which the protocol calls unknown.
type Destination struct {
	Key   identity.PublicKey
	Known bool
}

// To returns the holder of the key as a destination.
func To(key identity.PublicKey) Destination { return Destination{Key: key, Known: true} }

// Is reports whether the destination is the holder of the key.
func (d Destination) Is(key identity.PublicKey) bool { return d.Known && d.Key == key }

// String returns "unknown" or the key.
func (d Destination) String() string {
	if !d.Known {
		return "unknown"
	}
	return d.Key.String()
}

// Hash identifies a message: messages with the same hash are copies of one message. See
// [DedupHash].
type Hash [32]byte

// String returns 64 lower-case hexadecimal digits.
func (h Hash) String() string {
	return hex.EncodeToString(h[:])
}
