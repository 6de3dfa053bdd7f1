package users

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Register asks extensions to run a user's actor. Reply: Registered.
type Register struct {
	Token uint64
	Name  string      // path below extensions
	ID    protocol.ID // "" for the handler of plain messages, and if Actor or Type is set
	Actor string      // the name of an actor that speaks no protocol
	Topic string      // of the messages that the handler takes; "": those without a topic
	Type  *int32      // the message type of the DHT that the actor handles; ID and Actor are empty then
	By    any         // who may mean this registration alone when it ends it; nil: nobody
	New   func() actor.Actor
	// OnPanic says what happens to the actor when it panics.
	OnPanic protocol.PanicPolicy
	// All says that the handler takes messages of all topics.
	All bool
	// Drains says that the actor answers supervisor.Drain itself.
	Drains bool
	// Ended, if not nil, is called when the actor has ended for good while the node
	// runs: it was unregistered, its panic policy has stopped it, or it has stopped
	// itself. It must not block.
	Ended func()
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
	Topic string // with neither: of the handler
	By    any    // not nil: only the registration of the same By
}

// Unregistered replies to Unregister.
type Unregistered struct {
	Token uint64
	Err   error
}

// AwaitReady asks extensions to reply when all registered protocols are in the protocol
// table. Reply: Ready.
type AwaitReady struct{}

// Ready replies to AwaitReady.
type Ready struct{}
