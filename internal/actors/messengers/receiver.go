package messengers

import (
	"context"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// Receiver receives the messages of peers on one messaging protocol. A part that
// carries its own messages on the profile's protocol passes a Receiver to
// trunk.Trunk.ReceiveFrames. Plain messages have a Receiver of the trunk.
type Receiver interface {
	// Open returns an Intake for a task that reads a substream of this connection. A
	// substream that was parked gets another task, and another Intake unless that is a [Staying].
	Open(on *actors.ConnRef) Intake
}

// Staying is an Intake that stays with its substream while that is parked.
type Staying interface {
	Intake
	Stays()
}

// Intake receives messages of one substream, in order, on the goroutine of the task
// that reads the substream.
type Intake interface {
	// Message returns the message for an actor's mailbox. body was read completely. The
	// returned message owns the permit: it gives the permit back when it was handled,
	// or in its Discard method. If it is nil, no actor needs it, and the permit was given back.
	Message(body []byte, p *credit.Permit) any
	// Hear waits until an actor may receive at least one of these messages. It returns
	// the actor, and how many messages from the first on the actor may receive now. An
	// error ends the substream. When ctx ends, Hear returns ctx's error.
	Hear(ctx context.Context, all []any) (to *actor.PID, n int, err error)
	// Drop reports that n messages of Message are discarded without delivery, because
	// the substream has ended.
	Drop(n int)
}

// plainReceiver is the Receiver of plain messages, for the user's handler.
type plainReceiver struct{ messaging *Messaging }

// Open returns an Intake that makes an [actors.Received] of each body.
func (r plainReceiver) Open(on *actors.ConnRef) Intake { return &plainIntake{r.messaging, on} }

type plainIntake struct {
	messaging *Messaging
	on        *actors.ConnRef
}

// Message makes an [actors.Received] and marks the connection as useful.
func (i *plainIntake) Message(body []byte, p *credit.Permit) any {
	base.Use(i.on)
	return actors.Received{From: i.on.Key, Peer: i.on.Peer, Conn: i.on.ID, Body: body, Credit: p}
}

// Hear waits until there is a handler, which may receive all of the messages. The error
// is ctx's, or errNoHandler.
func (i *plainIntake) Hear(ctx context.Context, all []any) (*actor.PID, int, error) {
	pid, ok := i.messaging.Handler.Get() // without a lock
	var err error
	if !ok {
		pid, err = i.messaging.Handler.Wait(ctx)
	}
	if err == nil && pid == nil {
		err = errNoHandler
	}
	return pid, len(all), err
}

// Drop does nothing: the permits of dropped messages count them (see credit.Account.CountDropped).
func (*plainIntake) Drop(int) {}

// errNoHandler ends the reading of plain messages: the node no longer offers their
// protocol.
var errNoHandler = errors.New("actors: the handler of messages was unregistered or has stopped for good after a panic")

// refusing tells a session that the protocol has no handler any more.
type refusing struct{}

// Refuse ends all substreams of peers, because the protocol has no handler any more, and
// has no reader wait for one. It does nothing, and returns false, while messages with a topic have one. What has arrived and was not read is dropped with them. A
// substream that a session takes later ends at once, so none is missed: the view is written
// first, and a session is in the directory before it takes a substream.
func (m *Messaging) Refuse(c actor.Context) bool {
	if !m.refuses() {
		return false
	}
	for _, session := range m.Sessions.All() {
		c.Send(session.PID, refusing{})
	}
	return true
}

// refuses reports whether the protocol has had a handler and has none any more, of any topic.
func (m *Messaging) refuses() bool {
	pid, ok := m.Handler.Get()
	return ok && pid == nil && (m != m.room.Outcomes || m.room.Topics.Len() == 0)
}

// ReceiveWith sets the Receiver of the messages. It is called before the tree starts.
func (m *Messaging) ReceiveWith(r Receiver) { m.receiver = r }
