package users

import (
	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// AddProtocol asks services to pass inbound substreams of a protocol to an actor. Reply:
// ProtocolAdded.
type AddProtocol struct {
	Token uint64
	ID    protocol.ID
	PID   *actor.PID
	Own   bool // the protocol is the node's own: its id may be one with a fixed meaning
	Later bool // only nodes of this library need to know of it: no identity message lists it (spec: V 41)
}

// ProtocolAdded replies to AddProtocol.
type ProtocolAdded struct {
	Token uint64
	ID    protocol.ID
	Err   error
}

// AwaitOffered asks services to reply when the protocols are in the table that were added before.
// Reply: Offered.
type AwaitOffered struct{}

// Offered replies to AwaitOffered.
type Offered struct{}

// RemoveProtocol removes a protocol from the table, unless its substreams go to an actor
// other than PID; a nil PID stands for any actor. Reply: ProtocolRemoved.
type RemoveProtocol struct {
	Token uint64
	ID    protocol.ID
	PID   *actor.PID
}

// ProtocolRemoved replies to RemoveProtocol.
type ProtocolRemoved struct {
	Token uint64
	ID    protocol.ID
}

// sendLater has a message sent to another actor, after the changes of the table that its sender
// has asked for before.
type sendLater struct {
	to  *actor.PID
	msg any
}

// SetAddresses changes the addresses that the node advertises. The next
// identity exchange carries a new signature over them (spec: comms 58). Sent
// to services. Reply: AddressesSet.
type SetAddresses struct{ Addresses []ma.Multiaddr }

// AddressesSet replies to SetAddresses.
type AddressesSet struct{ Err error }

// AddAddress adds an address by which a part makes the node reachable, such as that of an
// onion service, to those that the node advertises. The address stays, also when others are
// set, for the node's life. Sent to services. Reply: AddressAdded.
type AddAddress struct{ Address ma.Multiaddr }

// AddressAdded replies to AddAddress.
type AddressAdded struct {
	Address ma.Multiaddr
	Err     error
}
