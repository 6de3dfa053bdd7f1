package outcomepart

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Outcomes is the part. It outlives the incarnations of its actor.
type Outcomes struct {
	trunk Trunk
	pid   *actor.PID
	books books
	keeps bool // the node has an inbox

	sending atomic.Int64 // messages that were accepted and have no outcome
}

// Settings are the settings of the part.
type Settings struct {
	Inbox Inbox // nil: the node has none
}

// Inbox is the node's inbox.
type Inbox interface {
	Tell(outcomes.Senders)
	Senders() []outcomes.Remembered
}

// New makes the part, and has it receive messages and answers. It is called before the tree starts.
func New(t Trunk, s Settings) *Outcomes {
	o := &Outcomes{trunk: t, pid: t.PID("services/" + name), keeps: s.Inbox != nil}
	o.books.init(o)
	if s.Inbox != nil {
		s.Inbox.Tell(&o.books)
		o.books.restore(s.Inbox.Senders())
	}
	t.Outcomes().ReceiveWith(receiver{o})
	t.Answers().ReceiveWith(hearer{o})
	return o
}

const name = "outcomes"

// Part returns the part. Its actor is a child of services.
func (o *Outcomes) Part() actors.Part {
	return actors.Part{
		Name:     name,
		Services: []supervisor.Spec{{Name: name, Kind: name, New: func() actor.Actor { return newSender(o) }, Drains: true, Alarm: users.HandlerAlarm}},
		Sections: map[string]func(context.Context) any{name: o.section},
		Stages:   map[string]actors.Stage{"services/" + name: actors.StopSenders},
	}
}

// Errors of messages.
var (
	// ErrNotKept reports a message that is to be kept, and a peer that keeps none.
	ErrNotKept = errors.New("gamelan: the peer has no inbox, so it keeps no message; start it with WithInbox, or wait for Handled")
	// ErrNoHandler reports a peer on which nobody takes the message.
	ErrNoHandler = fmt.Errorf("%w: it has no handler any more", actors.ErrNotTaken)
	// errNotHandledYet and errNotKeptYet report messages that the peer has read, and whose time is over.
	errNotHandledYet = errors.New("the peer has read it, and nobody there has handled it in time")
	errNotKeptYet    = errors.New("the peer has read it, and has not kept it on its disk in time")
	// ErrDropped reports a message that the peer had and that will not be handled.
	ErrDropped = errors.New("gamelan: the message came, and was not handled")
	// ErrForgotten reports a peer that has lost what it knew of the message.
	ErrForgotten = errors.New("gamelan: the peer was started again and has lost what it knew of the message, which may have been handled")
)

// Submission is a message to a peer.
type Submission struct {
	Peer  identity.NodeID
	Body  []byte
	Want  outcomes.Want
	Topic string
	// Resend says that a peer which does not know of ids gets it as a plain message, which is sent again
	// if the connection is lost; with Read alone.
	Resend bool
	// Until is how long the message waits for a peer that is away; 0: it does not wait.
	Until time.Duration
	// Once says that the message is sent as a plain one, and so not again once it may have been written.
	Once bool
}

// Submit sends a message. It waits for credit until ctx ends; then the error is ctx's and the message is
// not accepted. Otherwise done is called exactly once, unless the node fails; it must not block. The
// body must not be changed before that. The serial is for Withdraw.
func (o *Outcomes) Submit(ctx context.Context, s Submission, done func(protocol.Outcome)) (serial uint64, err error) {
	if o.refuse(&s, done) {
		return 0, nil
	}
	giveBack, err := o.trunk.Outcomes().Borrow(ctx, s.Peer, len(s.Body))
	if err != nil {
		return 0, err
	}
	return o.accept(s, giveBack, done), nil
}

// TrySubmit is Submit for an actor, which must not wait. Without credit the message has failed.
func (o *Outcomes) TrySubmit(s Submission, done func(protocol.Outcome)) {
	if o.refuse(&s, done) {
		return
	}
	giveBack, ok := o.trunk.Outcomes().TryBorrow(s.Peer, len(s.Body))
	if !ok {
		done(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Overloaded})
		return
	}
	o.accept(s, giveBack, done)
}

// mostBody is the longest body of a message with an id: the head of a copy is longer than that of the first write.
func (o *Outcomes) mostBody() int { return o.trunk.Outcomes().MaxBody() - outcomes.MaxHead }

// tooLong is the outcome of a message that leaves its head no room.
func (o *Outcomes) tooLong() protocol.Outcome {
	return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong, Err: fmt.Errorf(
		"with an id it may have at most %s; send it in parts, or without Kept, Handled, Resend and To", inspect.Count(uint64(o.mostBody()), "byte"))}
}

// refuse ends a message that leaves its head no room. One that may go as a plain message is not refused before its peer is known.
func (o *Outcomes) refuse(s *Submission, done func(protocol.Outcome)) bool {
	if s.Once || s.Resend || s.Peer == o.trunk.Self() || len(s.Body) <= o.mostBody() {
		return false
	}
	out := o.tooLong()
	o.trunk.Ended(s.Peer, out)
	done(out)
	return true
}

func (o *Outcomes) accept(s Submission, giveBack func(), done func(protocol.Outcome)) uint64 {
	m := &send{Submission: s, o: o, serial: o.trunk.NewID(), giveBack: giveBack, done: done}
	o.sending.Add(1)
	o.trunk.System().Root.Send(o.pid, m)
	return m.serial
}

// Withdraw says that nobody waits for a message any more: it ends soon.
func (o *Outcomes) Withdraw(serial uint64) {
	o.trunk.System().Root.Send(o.pid, withdraw{serial})
}
