package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Register asks extensions to run a user's actor. Reply: Registered.
type Register struct {
	Token uint64
	Name  string      // path below extensions
	ID    protocol.ID // "" for the handler of plain messages, and with Actor or Type
	Actor string      // the name of an actor that speaks no protocol
	Type  *int32      // a message type of the DHT instead; neither ID nor Actor then
	New   func() actor.Actor
	// OnPanic is what a panic does to the actor.
	OnPanic protocol.PanicPolicy
}

// Registered replies to Register.
type Registered struct {
	Token uint64
	PID   *actor.PID
	Err   error
}

// Unregister stops a user's actor; its streams are reset. Reply: Unregistered.
type Unregister struct {
	Token uint64
	ID    protocol.ID
	Type  *int32 // instead of ID
}

// Unregistered replies to Unregister.
type Unregistered struct {
	Token uint64
	Err   error
}

// AwaitReady asks extensions to say when everything registered is in the
// protocol table. Reply: Ready.
type AwaitReady struct{}

// Ready replies to AwaitReady.
type Ready struct{}

// ProtocolFailed is published when a user's actor has failed. It is tried again
// after 30 s, or, when it was Stopped by its panic policy, not before it is
// registered again.
type ProtocolFailed struct {
	Name    string
	ID      protocol.ID
	Err     error
	Stopped bool
}
