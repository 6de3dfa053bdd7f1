package actors

import (
	"context"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// Receiver receives what the peers send on one messaging protocol. A part that
// carries its own messages on the profile's protocol hands one to
// [Trunk.ReceiveFrames]; plain messages have one of the trunk's.
type Receiver interface {
	// Open begins the reading of a substream of a connection.
	Open(on *ConnRef) Intake
}

// Intake receives the messages of one substream, in order, on the goroutine of the
// task that reads it.
type Intake interface {
	// Message returns the message for an actor's mailbox that is made of a body
	// which was read whole. From then on it owns the permit, and gives it back when
	// it is handled or discarded (a Discard method).
	Message(body []byte, p *credit.Permit) any
	// Hear waits until an actor may hear at least one of these messages, and returns
	// the actor and how many it may hear. An error ends the substream; it is
	// ctx's when that ends.
	Hear(ctx context.Context, all []any) (to *actor.PID, n int, err error)
	// Drop is told of messages that were made and are discarded unheard, because
	// the substream has ended.
	Drop(n int)
}

// plainReceiver receives plain messages for the user's handler.
type plainReceiver struct{ messaging *Messaging }

// Open returns what makes [Received] of bodies.
func (r plainReceiver) Open(on *ConnRef) Intake { return &plainIntake{r.messaging, on} }

type plainIntake struct {
	messaging *Messaging
	on        *ConnRef
}

// Message makes a [Received]. A connection on which one has come is of use.
func (i *plainIntake) Message(body []byte, p *credit.Permit) any {
	i.on.use()
	return Received{From: i.on.Key, Peer: i.on.Peer, Conn: i.on.ID, Body: body, permit: p}
}

// Hear waits until there is a handler, which hears all of them. The error is
// ctx's, or errHandlerStopped.
func (i *plainIntake) Hear(ctx context.Context, all []any) (*actor.PID, int, error) {
	pid, ok := i.messaging.Handler.Get() // without a lock
	var err error
	if !ok {
		pid, err = i.messaging.Handler.Wait(ctx)
	}
	if err == nil && pid == nil {
		err = errHandlerStopped
	}
	return pid, len(all), err
}

// Drop has nothing to count: the sender hears that these are in doubt.
func (*plainIntake) Drop(int) {}

// errHandlerStopped ends the reading of messages: the protocol is offered no more.
var errHandlerStopped = errors.New("actors: the handler of messages has stopped for good after a panic")

// TypeTable is where a part keeps the users' actors that hear what it receives by
// message type: see [Trunk.ServeTypes]. Extensions calls it.
type TypeTable interface {
	// Check says whether an actor for the type may be registered.
	Check(t int32) error
	// Set has the actor hear the messages of the type; nil says that it has failed,
	// and is tried or registered again.
	Set(t int32, pid *actor.PID)
	// Delete ends that.
	Delete(t int32)
}

// Origin says which peer chose the content of a message, and on which
// connection it came. It is what a contained panic is charged to.
type Origin struct {
	Peer identity.NodeID
	Conn uint64 // 0: none
}
