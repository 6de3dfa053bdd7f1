package wire

import (
	"encoding/hex"
	"fmt"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Version is the protocol version that own messages carry; 1 is read as well
// (spec: dht 2.2).
const Version = 2

// MessageType says who a message is for (spec: dht 2.2).
type MessageType int32

const (
	TypeDomain            MessageType = 0  // for the application
	TypeJoin              MessageType = 1  // a node makes itself known
	TypeDiscovery         MessageType = 2  // where is the holder of this key?
	TypeDiscoveryResponse MessageType = 3  // here
	TypeStoredRequest     MessageType = 20 // what have you stored for me?
	TypeStoredMessages    MessageType = 21 // this
)

// Valid reports whether the type exists.
func (t MessageType) Valid() bool {
	return t >= TypeDomain && t <= TypeDiscoveryResponse || t == TypeStoredRequest || t == TypeStoredMessages
}

// Forwardable reports whether encrypted messages of the type are passed on to
// others (spec: dht 6).
func (t MessageType) Forwardable() bool {
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

// Flags are the header's bits.
type Flags uint32

// Encrypted says that the body is sealed for the destination.
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

// Destination is whom a message is addressed to: the holder of a key, or
// anybody ("unknown", the zero value).
type Destination struct {
	Key   identity.PublicKey
	Known bool
}

// To returns the destination that is the holder of the key.
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

// Hash is the identity of a message: two with the same hash are copies of
// one. See [DedupHash].
type Hash [32]byte

// String returns 64 lower-case hexadecimal digits.
func (h Hash) String() string {
	return hex.EncodeToString(h[:])
}
