package outcomepart

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
	"unique"

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

	ended bool // the peer has broken the rules, and nothing of it counts any more

	epoch  outcomes.Epoch // of the last frame
	epochs int            // how many there were since
	since  time.Time
}

// rest is what comes behind a frame that breaks the rules. It ends the substream.
type rest struct{ *credit.Permit }

var errEnded = errors.New("outcomes: the peer has broken the rules")

// beforeRest returns what is before a rest. An error says that this is nothing.
func beforeRest(all []any) ([]any, error) {
	n := slices.IndexFunc(all, func(m any) bool { _, is := m.(rest); return is })
	switch n {
	case -1:
		return all, nil
	case 0:
		return nil, errEnded
	}
	return all[:n], nil
}

// epochsMost is how many epochs a substream may have in an hour. A sender has one, and a new one after an hour without messages.
const epochsMost = 16

// follows returns an error if the peer begins too many epochs.
func (i *intake) follows(e outcomes.Epoch) error {
	if e == i.epoch {
		return nil
	}
	if now := i.o.trunk.Now(); i.epochs == 0 || now.Sub(i.since) >= time.Hour {
		i.since, i.epochs = now, 0
	}
	i.epoch = e
	if i.epochs++; i.epochs > epochsMost {
		return outcomes.TooManyEpochs(epochsMost)
	}
	return nil
}

// Stays implements [messengers.Staying].
func (*intake) Stays() {}

// Message returns an [actors.Received] for the handler, or what is for the part's actor. What the books
// answer is for nobody.
func (i *intake) Message(body []byte, p *credit.Permit) any {
	if i.ended {
		return rest{p}
	}
	f, err := outcomes.Decode(body)
	switch {
	case err == nil && f.Ask != nil:
		err = i.follows(f.Ask.Epoch)
	case err == nil && f.Message != nil:
		err = i.follows(f.Message.Epoch)
	}
	if err == nil && (f.Answer != nil || f.Hello != nil) {
		err = outcomes.Misplaced()
	}
	switch {
	case err != nil:
		i.ended = true
		return violated{i.on, err, p}
	case f.Ask != nil:
		i.o.books.ask(i, f.Ask)
	case f.Message != nil:
		base.Use(i.on)
		if book, deliver := i.o.books.arrive(i, f.Message, i.o.refuses(f.Message)); deliver {
			return actors.Received{
				From: i.on.Key, Peer: i.on.Peer, Conn: i.on.ID, Body: f.Body,
				ID: actors.MessageID{Epoch: uint64(f.Message.Epoch), Number: f.Message.Number}, Topic: unique.Make(f.Message.Topic).Value(),
				Credit: &arrival{books: &i.o.books, book: book, number: f.Message.Number, want: f.Message.Want, size: len(f.Body), permit: p},
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
	if m.Want == outcomes.Kept && !o.keeps {
		return outcomes.NoInbox
	}
	if pid, ok := o.handler(m.Topic); ok && pid == nil {
		return outcomes.NoHandler
	}
	return 0
}

// handler returns the actor for messages with a topic; nil: there is none. It is false while that has
// failed and everybody is to wait for it; with handlers of topics nobody does. An inbox is the handler of all.
func (o *Outcomes) handler(topic string) (*actor.PID, bool) {
	if topic != "" && !o.keeps {
		return o.trunk.Topic(topic), true
	}
	pid, ok := o.trunk.Outcomes().Handler.Get()
	return pid, ok || o.trunk.HasTopics()
}

// Hear returns the actor that the first messages are for: the handler of their topic, or the part's. It waits for the handler of
// messages without a topic.
func (i *intake) Hear(ctx context.Context, all []any) (pid *actor.PID, n int, err error) {
	if all, err = beforeRest(all); err != nil {
		return nil, 0, err
	}
	first, received := all[0].(actors.Received)
	for n = 1; n < len(all); n++ {
		if m, ok := all[n].(actors.Received); ok != received || m.Topic != first.Topic {
			break
		}
	}
	if !received {
		return i.o.pid, n, nil
	}
	pid, ok := i.o.handler(first.Topic)
	if !ok {
		pid, err = i.o.trunk.Outcomes().Handler.Wait(ctx)
	}
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
func (r hearer) Open(on *actors.ConnRef) messengers.Intake { return &answerIntake{o: r.o, on: on} }

type answerIntake struct {
	o     *Outcomes
	on    *actors.ConnRef
	ended bool // as of intake
}

// Message decodes an answer.
func (i *answerIntake) Message(body []byte, p *credit.Permit) any {
	if i.ended {
		return rest{p}
	}
	f, err := outcomes.Decode(body)
	if err == nil && (f.Message != nil || f.Ask != nil) {
		err = outcomes.Misplaced()
	}
	if err != nil {
		i.ended = true
		return violated{i.on, err, p}
	}
	return heard{i.on, f.Hello, f.Answer, p}
}

// Hear returns the part's actor.
func (i *answerIntake) Hear(_ context.Context, all []any) (*actor.PID, int, error) {
	all, err := beforeRest(all)
	return i.o.pid, len(all), err
}

// Drop does nothing: the sender asks for what it has not heard.
func (*answerIntake) Drop(int) {}

// arrival is the credit of a message with an id. What becomes of it goes into its book.
type arrival struct {
	books  *books
	book   *book
	number uint64
	want   outcomes.Want
	size   int            // of its body
	permit *credit.Permit // nil: this node has sent it to itself
	lent   func()         // gives the credit back of a message of this node to itself; nil: it has none
	state  atomic.Uint32
}

// handled says that the message was handled. With an inbox its handler is the keeper: there is more to come.
func (a *arrival) handled() {
	if !a.books.o.keeps {
		a.books.handled(a.book, a.number)
	}
}

func (a *arrival) giveBack() {
	if a.lent != nil {
		a.lent()
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
		a.giveBack()
		a.handled()
	}
}

// Discard says that the message was dropped. If its handler keeps it, the credit alone goes back: who keeps it says what
// became of it.
func (a *arrival) Discard() {
	a.permit.Discard()
	a.giveBack()
	if a.state.CompareAndSwap(arriving, over) {
		a.drop()
	}
}

// drop notes that nobody has the message. Its sender is told, or has perhaps seen it confirmed.
func (a *arrival) drop() {
	a.books.dropped(a.book, a.number)
	if a.want == outcomes.Read {
		a.books.o.trunk.Outcomes().Drop(a.book.peer, a.size)
	}
}

// Refuse says that the message was dropped, also if its handler keeps it.
func (a *arrival) Refuse() {
	if a.state.Swap(over) != over {
		a.permit.Discard()
		a.giveBack()
		a.drop()
	}
}

// Fail is Refuse by a handler that had the message in hand: its sender is told, if it waits for that.
func (a *arrival) Fail() {
	if a.state.Swap(over) != over {
		a.permit.Discard()
		a.giveBack()
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
			a.giveBack()
			a.handled()
		}
	}
}
