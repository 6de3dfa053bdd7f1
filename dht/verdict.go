package dht

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Frame is a message as it came from a connected peer.
type Frame struct {
	Source identity.NodeID
	Key    identity.PublicKey // of the source
	Body   []byte
	Proof  Proof // what [Inbound.Prove] has found out of Body
}

// Incoming is a message on its way through the inbound chain. Each layer knows
// more of it.
type Incoming struct {
	Now      time.Time          // measures, and never steps
	Wall     time.Time          // the system's clock
	Source   identity.NodeID    // the peer it came from
	Key      identity.PublicKey // the source's
	Envelope wire.Envelope
	Hash     wire.Hash
	proof    Proof

	// From the signature on:
	Origin identity.PublicKey // who wrote it, the zero key if it does not say
	Sealed bool               // for somebody else: Parts are not known
	Parts  [][]byte

	// From the count on:
	Copies uint32 // how often it was seen, this time included
	Again  bool   // an earlier copy was not passed on to all it was for
}

// Reason is how the inbound chain ended for one message.
type Reason uint8

const (
	Delivered       Reason = iota + 1 // given to the application's handler
	Handled                           // a message of the DHT itself, given to its part
	Passed                            // encrypted for somebody else; passed on if there is a Forward
	Undecodable                       // no envelope, or a header that is refused
	UnknownSource                     // the source is not in the peer store
	NoStore                           // asks for stored messages, and we store none
	Expired                           // past its time
	BadSemantics                      // encrypted without what that needs; banned
	Duplicate                         // seen as often as is allowed
	BadSignature                      // does not verify; banned
	Undecryptable                     // for us, and does not open
	BadBody                           // what it holds is no body
	NotRepeated                       // a copy of a message that may come once only
	ReturnedToOwner                   // sent to us by the one it is for; banned
	Stopped                           // by a layer of the application's
	NoHandler                         // of a type that nobody here handles
	NoPart                            // of the DHT itself, and this node has no part for its type
	HandlerStuck                      // its handler finishes nothing and holds enough of the peer's credit
	HandlerFailed                     // its handler has failed for good and is tried again later
	Panicked                          // the chain, or a layer of the application's, panicked on it
	PassedAgain                       // Passed, to those that an earlier copy did not reach
	NotPassed                         // for somebody else, and earlier ones of its source stand still
	OverRelayBytes                    // for somebody else, and its source has had its bytes of the minute
)

var reasons = [...]string{
	Delivered: "delivered", Handled: "handled", Passed: "for somebody else",
	Undecodable: "undecodable", UnknownSource: "unknown source", NoStore: "no store here", Expired: "expired",
	BadSemantics: "bad encrypted semantics", Duplicate: "duplicate", BadSignature: "bad signature",
	Undecryptable: "undecryptable", BadBody: "bad body", NotRepeated: "copy",
	ReturnedToOwner: "returned by its destination", Stopped: "stopped by a layer",
	NoHandler: "no handler", NoPart: "no part of the DHT for it", HandlerStuck: "handler stuck",
	HandlerFailed: "handler failed", Panicked: "panicked",
	PassedAgain: "for somebody else again", NotPassed: "for somebody else and not passed on",
	OverRelayBytes: "for somebody else beyond the bytes of its source",
}

// Reasons returns all reasons.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasons)-1)
	for r := Delivered; int(r) < len(reasons); r++ {
		all = append(all, r)
	}
	return all
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r] != "" {
		return reasons[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// MarshalText returns the same text as [Reason.String].
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Verdict is what becomes of a message. The chain does none of it itself.
type Verdict struct {
	Reason Reason
	Err    error // detail; may be nil

	// Violation is the source's offence, nil if there is none.
	Violation *protocol.Violation
	// Forward says whom to pass the message on to, as it came; nil is nobody. With
	// [PassedAgain] only those count that an earlier copy did not reach.
	Forward Strategy
	// Domain is the message for the application, with [Delivered].
	Domain *Domain
}

// Domain is a message for the application.
type Domain struct {
	Type  int32
	Nonce uint64
	Body  []byte
}
