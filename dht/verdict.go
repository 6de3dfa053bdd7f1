package dht

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Frame is an encoded message from a connected peer.
type Frame struct {
	Source identity.NodeID
	Key    identity.PublicKey // of the source
	Body   []byte
	Proof  Proof // of Body, by [Inbound.Prove]; may be zero
}

// Incoming is a message on its way through the inbound chain, which fills its fields
// from top to bottom.
type Incoming struct {
	Now      time.Time          // of a clock that never steps
	Wall     time.Time          // the system's clock
	Source   identity.NodeID    // the peer that sent it to us
	Key      identity.PublicKey // the source's
	Envelope wire.Envelope
	Hash     wire.Hash
	proof    Proof

	// Once the signature has verified:
	Origin identity.PublicKey // the author; the zero key if the message is not signed
	Sealed bool               // encrypted for somebody else: Parts are unknown
	Parts  [][]byte

	// Once the message is counted:
	Copies uint32 // how often it was seen, this time included
	Stored bool   // Source kept it for this node, which asked for it
	Again  bool   // an earlier copy did not reach all peers that it was relayed to
}

// Reason is the reason for which the inbound chain ended with a message.
type Reason uint8

const (
	Delivered       Reason = iota + 1 // given to the application's handler
	Handled                           // a message of the DHT itself, given to its part
	ForOthers                         // encrypted for somebody else; relayed if there is a Relay
	Undecodable                       // not an envelope, or its header is refused
	UnknownSource                     // the source is not in the peer store
	NoStore                           // asks for stored messages, and this node stores none
	Expired                           // past its expiry
	BadSemantics                      // encrypted, but lacks a required field; its source is banned
	Duplicate                         // came more often than [InboundOptions].Occurrences
	BadSignature                      // does not verify; its source is banned
	Undecryptable                     // for us, but does not decrypt
	BadBody                           // its body does not decode
	NotRepeated                       // a copy of a message that is let through once only
	ReturnedToOwner                   // its source is its destination; the source is banned
	Stopped                           // by a layer of the application
	NoHandler                         // no handler here takes its type
	NoPart                            // a message of the DHT itself, and no part of this node takes its type
	HandlerStuck                      // its handler is stuck and holds its share of the peer's credit
	HandlerFailed                     // its handler has failed for good and is tried again later
	Panicked                          // the chain, or a layer of the application, panicked on it
	RelayedAgain                      // ForOthers, to the peers that an earlier copy did not reach
	RelaysStuck                       // for somebody else, and earlier relays of its source have not ended
	OverRelayBytes                    // for somebody else, and its source has used up its bytes of the last minute
	OverControls                      // an announcement or a search of a source that sends too many; not verified
)

var reasons = [...]string{
	Delivered: "delivered", Handled: "handled", ForOthers: "for somebody else",
	Undecodable: "undecodable", UnknownSource: "unknown source", NoStore: "no message store here", Expired: "expired",
	BadSemantics: "encrypted, incomplete", Duplicate: "duplicate", BadSignature: "bad signature",
	Undecryptable: "undecryptable", BadBody: "bad body", NotRepeated: "second copy",
	ReturnedToOwner: "sent by its destination", Stopped: "stopped by a layer",
	NoHandler: "no handler", NoPart: "unsupported DHT message", HandlerStuck: "handler stuck",
	HandlerFailed: "handler failed", Panicked: "panicked",
	RelayedAgain: "for somebody else, to missed peers", RelaysStuck: "for somebody else, not relayed",
	OverRelayBytes: "for somebody else, over the byte limit", OverControls: "too many announcements of its source",
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

// Verdict is the decision of the inbound chain about a message. The caller carries it
// out.
type Verdict struct {
	Reason Reason
	Err    error // detail; may be nil

	// Violation is the source's offence; nil is none.
	Violation *protocol.Violation
	// Relay selects the peers that the message is relayed to, unchanged; nil is
	// nobody. With [RelayedAgain] it goes only to peers that an earlier copy did not
	// reach.
	Relay Strategy
	// Store says that the message may be stored for its destination, and selects the
	// peers that it is relayed to if it is; nil: it may not be stored.
	Store Strategy
	// Domain is the message for the application, with [Delivered].
	Domain *Domain
}

// Domain is a message for the application.
type Domain struct {
	Type  int32
	Nonce uint64
	Body  []byte
}
