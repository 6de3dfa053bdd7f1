package nativewire

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Protocol is the id of the protocol. A network with a name of its own appends a slash and
// the name.
const Protocol protocol.ID = "/gamelan/kad/1.0.0"

// MaxNetwork is the longest name of a network in bytes: with it the id has 50.
const MaxNetwork = 31

// ProtocolOf returns the protocol id of the network with this name; "" is the network
// without a name. It fails with [ErrNetwork] for a name that is longer than [MaxNetwork].
func ProtocolOf(network string) (protocol.ID, error) {
	switch {
	case network == "":
		return Protocol, nil
	case len(network) > MaxNetwork:
		return "", ErrNetwork
	}
	return Protocol + "/" + protocol.ID(network), nil
}

// Limits of a message.
const (
	// MaxFrame is the longest message in bytes. A longer one is a violation, and resets the
	// substream.
	MaxFrame = 65_536
	// MaxContacts is how many nodes of a Response are read, and how many are written.
	MaxContacts = 40
	// MaxDetail is the longest detail in bytes; a longer one is cut.
	MaxDetail = 200
	// MaxRecord is the longest encoded record in bytes.
	MaxRecord = record.MaxEncoded
	// maxFields bounds the work for a message, with all messages inside it. A Response with
	// as many nodes as are read has fewer than 1,000.
	maxFields = 16 << 10
)

// Causes of an [overlay.DecodeError], beside [overlay.ErrIDLength] and [overlay.ValueTooLargeError].
var (
	// ErrMalformed reports bytes that are no protocol buffer, or fields of another type.
	ErrMalformed = errors.New("kad: malformed message")
	// ErrTooLong reports a message above [MaxFrame], or with too many fields.
	ErrTooLong = errors.New("kad: message too long")
	// ErrNoBody reports a request that asks for nothing.
	ErrNoBody = errors.New("kad: request without a body")
	// ErrUnknownBody reports a request for something that this version does not know.
	ErrUnknownBody = errors.New("kad: request with an unknown body")
)

// ErrVerb reports a message that this wire cannot carry.
var ErrVerb = errors.New("kad: no such message in this overlay")

// ErrNetwork reports a network's name that is too long.
var ErrNetwork = errors.New("kad: the name of a network has at most 31 bytes")
