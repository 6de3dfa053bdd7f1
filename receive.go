package gamelan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/receive"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Message is a message from a peer, for [WithMessages], [Node.Messages] and [Inbox.Listen].
type Message struct {
	// From is the author's public key. It is zero for a DHT message that names none.
	From identity.PublicKey
	// Peer is the node id of the peer that delivered the message. For a plain message
	// that is its author.
	Peer identity.NodeID
	// Body must not be changed.
	Body []byte
	// Seq is the message's number in the inbox, which grows with every message, also over restarts. It
	// is 0 without [WithInbox].
	Seq uint64
	// At is when the inbox got the message, by the system's clock. It is zero without [WithInbox].
	At time.Time
	// Lost is how many messages before this one a listener with ListenOptions.All did not get, because
	// they were deleted to make room.
	Lost uint64
	// ID names the message among those of From. It is zero unless the sender gave it one, with [Resend],
	// [Kept] or [Handled]. A message that comes again has the same.
	ID MessageID
	// Topic is the word that its sender gave it, with [To]; empty: none.
	Topic string
	// Attempt is how often the message was handed out, with this time: 1 for the first time. An inbox counts over restarts, and
	// counts what a kill -9 leaves in hand: what was being handled, and what the loop would have begun within some 20 ms. What a loop
	// leaves and has not begun does not count. It is 0 with ListenOptions.All.
	Attempt int
	// DHT holds the fields of a message over the DHT, and is nil for a plain message. Only an
	// inbox with InboxConfig.Types delivers messages over the DHT.
	DHT *OverDHT

	node *Node
}

// Reply sends a plain message to the peer that delivered m, as [Node.Send] does.
func (m Message) Reply(ctx context.Context, body []byte, opts ...SendOption) (Outcome, error) {
	return m.node.Send(ctx, m.Peer, body, opts...)
}

// message makes a Message of one that was received.
func (n *Node) message(m receive.Message) Message {
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, Seq: m.Seq, At: m.At, Lost: m.Lost, ID: m.ID, Topic: m.Topic, Attempt: m.Attempt, DHT: m.DHT, node: n}
}

// WithMessages calls f with each message that peers send to this node, one at a time,
// those of one peer in their order ([Handled] says which have one). The function may wait; its ctx ends when the node
// stops. A message's credit returns to its sender when f has returned, so a slow function
// slows down its senders and nobody else. [Node.Close] waits, within its deadline, until f
// has handled the messages that were confirmed before it; those that remain are dropped.
//
// If f returns an error, the message is dropped, unless there is an inbox; the node counts it, and logs at most one
// warning a minute. A panic does what the option [OnPanic] says for an actor: by default the actor that calls f is
// restarted.
//
// With [WithInbox] the messages are those of the inbox. A message is acknowledged when f
// returns nil; acknowledgements that come while the disk syncs go together, so a kill -9 may have
// messages of the last few ms come again. Otherwise it comes again a second later, then after two, four, and so on up to five minutes;
// meanwhile f gets the messages behind it. After InboxConfig.MaxAttempts it goes to the shelf: see [Inbox.Dead].
//
// For messages in a loop see [Node.Messages]; for an actor of your own, [WithHandler].
func WithMessages(f func(ctx context.Context, m Message) error, opts ...ActorOption) Option {
	return func(o *options) error {
		if f == nil {
			return errors.New("gamelan: WithMessages was given no function")
		}
		s, err := actorSettings(opts)
		if slices.ContainsFunc(o.messages, func(m *messagesOption) bool { return m.topic == s.topic }) {
			return errors.New("gamelan: WithMessages was given twice; give one of them a topic with On")
		}
		o.messages = append(o.messages, &messagesOption{f, s.onPanic, s.topic})
		return err
	}
}

type messagesOption struct {
	f      func(context.Context, Message) error
	policy PanicPolicy
	topic  string
}

// caller returns the actor that calls the function of [WithMessages]. With an inbox the inbox is
// the handler of plain messages, and the actor speaks no protocol.
func (o *messagesOption) caller(n *Node, in *inboxpart.Inbox) users.Register {
	s := receive.NewCaller(func(ctx context.Context, m receive.Message) error { return o.f(ctx, n.message(m)) }, in, o.topic)
	r := users.Register{Topic: o.topic, Drains: true, Ended: s.Discard, New: s.NewActor, OnPanic: o.policy}
	if in != nil {
		r.Actor, r.Topic = users.MessagesActor(o.topic), ""
		in.Expect(o.topic)
	} else {
		n.called = append(n.called, s)
	}
	return r
}

// Messages iterates over the messages that peers send to this node, until ctx ends or
// the node stops. The body of the loop may wait. Messages of one peer come in their order ([Handled] says which have one).
//
//	for m, err := range node.Messages(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%s: %s\n", m.Peer, m.Body)
//	}
//
// A message's credit returns to its sender when the body of the loop is done, so a slow
// loop slows down its senders and nobody else. Several loops share the messages. Between
// loops the messages wait. The first call of Messages makes the node accept plain messages,
// as [Node.RegisterHandler] does; the loop may begin later. Before that, peers are told that
// the node takes no messages. [Node.UnregisterHandler] ends all loops.
//
// With [WithInbox] the messages are those of the inbox, and a message is acknowledged when
// the loop asks for the next one. Acknowledgements that come while the disk syncs go together, so a
// kill -9 may have messages of the last few ms come again; after the loop none does. The message at which the loop ends comes again, as do
// all that no loop has acknowledged; acknowledge it with [Node.Inbox] and Message.Seq if
// it is done. Each of several loops takes many messages in hand at once, for at most a minute:
// messages that a slow loop has not reached by then go to another loop as well, and out of
// their order. Where that matters, let one loop receive and hand the work on. A loop ends at
// most a few seconds after its ctx, even if the disk fails meanwhile.
//
// If the loop cannot go on, its last round has an error and no message: another handler is
// registered, or the inbox cannot be read. After [Node.Close] a loop still gets the
// messages that the node had accepted; Close does not wait for it.
func (n *Node) Messages(ctx context.Context, opts ...ActorOption) iter.Seq2[Message, error] {
	var b *receive.Backlog
	s, opened := actorSettings(opts)
	if s.onPanic != PanicRestart {
		opened = errors.New("gamelan: a loop has no panic policy; leave OnPanic out")
	}
	if n.e.Inbox == nil && opened == nil {
		b, opened = n.openLoop(ctx, s.topic)
	}
	return func(yield func(Message, error) bool) {
		both := func(m receive.Message) (handled, goOn bool) {
			goOn = yield(n.message(m), nil)
			return goOn, goOn
		}
		err := opened
		switch {
		case err != nil:
		case n.e.Inbox != nil:
			ack, end := outlive(ctx, ackGrace)
			err = receive.EachKept(ack, ctx, n.e.Inbox, s.topic, both)
			end()
		default:
			b.Each(ctx, both)
		}
		if err != nil && ctx.Err() == nil && !n.e.Stopping() {
			yield(Message{}, err)
		}
	}
}

// ackGrace is how long the acknowledgement of a message may take after the loop's ctx has
// ended: a broken disk may never answer.
const ackGrace = 5 * time.Second

// outlive returns a context that ends d after ctx, or with end, which must be called.
func outlive(ctx context.Context, d time.Duration) (_ context.Context, end func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return longer, func() { stop(); cancel() }
}

// openLoop returns the messages for loops. It registers the actor that collects them, unless that
// was done.
func (n *Node) openLoop(ctx context.Context, topic string) (*receive.Backlog, error) {
	return n.loops.Open(topic, n.e.Stopping, func(fill func() actor.Actor, ended func()) error {
		// A later loop receives as well, so ctx does not end this. If it took too long, it may come all the same, for nobody.
		by := new(byte)
		err := n.register(context.WithoutCancel(ctx), users.Register{Topic: topic, Ended: ended, By: by}, func(*Node) actor.Actor { return fill() }, nil)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			n.e.Trunk.System().Root.Send(n.e.Trunk.Extensions(), users.Unregister{Topic: topic, By: by})
		case errors.Is(err, actors.ErrProtocolTaken):
			err = fmt.Errorf("%w: leave out WithHandler and WithMessages to receive them in a loop", err)
		}
		return err
	})
}

// These are the messages that your actors receive. For the DHT they receive
// [dht.Received] and [dht.Sent].
type (
	// Received is a plain message from a peer, for the handler. Its credit returns to
	// the sender when Receive returns.
	Received = actors.Received
	// MessageID names a message that its sender gave an id.
	MessageID = actors.MessageID
	// SubstreamOpened is a substream that a peer has opened for one of your protocols.
	SubstreamOpened = actors.SubstreamOpened
	// Sent is the outcome of a message that was sent with [Node.SendFrom].
	Sent = actors.Sent
)

// Handle returns an actor that calls f with each message of type M, one at a time. The
// function f must not wait. M is what the actor receives: Received for plain messages, and
// not the [Message] of [WithMessages]. Of a message of a peer that is no M the node logs a
// warning that names both types, once.
//
//	gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { … }))
//	gamelan.WithType(1225, gamelan.Handle(func(m dht.Received) { … }))
func Handle[M any](f func(M)) NewActor {
	return func(*Node) actor.Actor { return &handler[M]{f: f} }
}

type handler[M any] struct {
	f      func(M)
	warned bool
}

func (h *handler[M]) Receive(c actor.Context) {
	if m, ok := c.Message().(M); ok {
		h.f(m)
		return
	}
	if m, ok := c.Message().(supervisor.Attributed); ok && !h.warned {
		h.warned = true
		supervisor.Log(c).Warn("messages of peers are dropped: the function given to Handle takes another type", "takes", reflect.TypeFor[M]().String(), "came", reflect.TypeOf(m).String())
	}
	supervisor.Unhandled(c)
}
