package outcomepart

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
)

// receiver is the [messengers.Receiver] of messages with ids.
type receiver struct{ o *Outcomes }

// Open returns an intake that judges each message by the book of its epoch.
func (r receiver) Open(on *actors.ConnRef) messengers.Intake {
	return &intake{o: r.o, on: on, line: outcomes.Line(random())}
}

type intake struct {
	o     *Outcomes
	on    *actors.ConnRef
	line  outcomes.Line
	knows *book // the peer was told its store, with the line
}

// Stays implements [messengers.Staying].
func (*intake) Stays() {}

// Message returns an [actors.Received] for the handler, or what is for the part's actor. What the books
// answer is for nobody.
func (i *intake) Message(body []byte, p *credit.Permit) any {
	f, err := outcomes.Decode(body)
	switch {
	case err != nil:
		return violated{i.on, err, p}
	case f.Answer != nil || f.Hello != nil:
		return violated{i.on, outcomes.Misplaced(), p}
	case f.Ask != nil:
		i.o.books.ask(i, f.Ask)
	case f.Message != nil:
		base.Use(i.on)
		if book, deliver := i.o.books.arrive(i, f.Message, i.o.refuses(f.Message)); deliver {
			return actors.Received{
				From: i.on.Key, Peer: i.on.Peer, Conn: i.on.ID, Body: f.Body,
				ID:     actors.MessageID{Epoch: uint64(f.Message.Epoch), Number: f.Message.Number},
				Credit: &arrival{books: &i.o.books, book: book, number: f.Message.Number, permit: p},
			}
		}
	}
	p.Finish()
	return nil
}

// askedMost is how often a question for messages of an epoch is answered. A peer of this release asks every [askAfter].
const askedMost = time.Second

// refuses returns why this node does not take a message; 0: it does.
func (o *Outcomes) refuses(m *outcomes.Message) outcomes.Result {
	switch pid, ok := o.trunk.Outcomes().Handler.Get(); {
	case m.Want == outcomes.Kept && !o.keeps:
		return outcomes.NoInbox
	case ok && pid == nil:
		return outcomes.NoHandler
	}
	return 0
}

// Hear returns the actor that the first messages are for: the handler, for which it waits, or the part's.
func (i *intake) Hear(ctx context.Context, all []any) (*actor.PID, int, error) {
	_, first := all[0].(actors.Received)
	n := 1
	for ; n < len(all); n++ {
		if _, ok := all[n].(actors.Received); ok != first {
			break
		}
	}
	if !first {
		return i.o.pid, n, nil
	}
	pid, err := i.o.trunk.Outcomes().Handler.Wait(ctx)
	if err == nil && pid == nil { // it has just gone
		pid = i.o.pid
	}
	return pid, n, err
}

// Drop does nothing: the credit of what is dropped tells it.
func (*intake) Drop(int) {}

// hearer is the [messengers.Receiver] of answers.
type hearer struct{ o *Outcomes }

// Open returns an intake that hands all answers to the part's actor.
func (r hearer) Open(on *actors.ConnRef) messengers.Intake { return &answerIntake{r.o, on} }

type answerIntake struct {
	o  *Outcomes
	on *actors.ConnRef
}

// Message decodes an answer.
func (i *answerIntake) Message(body []byte, p *credit.Permit) any {
	f, err := outcomes.Decode(body)
	if err == nil && (f.Message != nil || f.Ask != nil) {
		err = outcomes.Misplaced()
	}
	if err != nil {
		return violated{i.on, err, p}
	}
	return heard{i.on, f.Hello, f.Answer, p}
}

// Hear returns the part's actor.
func (i *answerIntake) Hear(_ context.Context, all []any) (*actor.PID, int, error) {
	return i.o.pid, len(all), nil
}

// Drop does nothing: the sender asks for what it has not heard.
func (*answerIntake) Drop(int) {}

// arrival is the credit of a message with an id. What becomes of it goes into its book.
type arrival struct {
	books  *books
	book   *book
	number uint64
	permit *credit.Permit
	state  atomic.Uint32
}

// handled says that the message was handled. With an inbox its handler is the keeper: there is more to come.
func (a *arrival) handled() {
	if !a.books.o.keeps {
		a.books.handled(a.book, a.number)
	}
}

// States of an arrival.
const (
	arriving uint32 = iota
	keptBack        // its handler keeps it
	over
)

// Finish says that the message was handled, unless its handler keeps it.
func (a *arrival) Finish() {
	if a.state.CompareAndSwap(arriving, over) {
		a.permit.Finish()
		a.handled()
	}
}

// Discard says that the message was dropped. If its handler keeps it, the credit alone goes back: who keeps it says what
// became of it.
func (a *arrival) Discard() {
	a.permit.Discard()
	if a.state.CompareAndSwap(arriving, over) {
		a.books.dropped(a.book, a.number)
	}
}

// Refuse says that the message was dropped, also if its handler keeps it.
func (a *arrival) Refuse() {
	if a.state.Swap(over) != over {
		a.permit.Discard()
		a.books.dropped(a.book, a.number)
	}
}

// Keep returns what says that the message was handled.
func (a *arrival) Keep() (release func()) {
	if a.state.CompareAndSwap(arriving, keptBack) {
		a.permit.Keep()
	}
	return func() {
		if a.state.CompareAndSwap(keptBack, over) {
			a.permit.Discard()
			a.handled()
		}
	}
}
