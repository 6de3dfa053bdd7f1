package gamelan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Messages iterates over the messages that peers send to this node, until ctx ends or
// the node stops. The body of the loop may wait. Messages of one peer come in their order.
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
// the loop asks for the next one. The message at which the loop ends comes again, as do
// all that no loop has acknowledged; acknowledge it with [Node.Inbox] and Message.Seq if
// it is done. Each of several loops takes many messages in hand at once, for at most a minute:
// messages that a slow loop has not reached by then go to another loop as well, and out of
// their order. Where that matters, let one loop receive and hand the work on. A loop ends at
// most a few seconds after its ctx, even if the disk fails meanwhile.
//
// If the loop cannot go on, its last round has an error and no message: another handler is
// registered, or the inbox cannot be read. After [Node.Close] a loop still gets the
// messages that the node had accepted; Close does not wait for it.
func (n *Node) Messages(ctx context.Context) iter.Seq2[Message, error] {
	var b *backlog
	var opened error
	if n.inbox == nil {
		b, opened = n.loops.open(ctx, n)
	}
	return func(yield func(Message, error) bool) {
		both := func(m Message) (handled, goOn bool) {
			goOn = yield(m, nil)
			return goOn, goOn
		}
		err := opened
		switch {
		case n.inbox != nil:
			ack, end := outlive(ctx, ackGrace)
			err = n.eachKept(ack, ctx, both)
			end()
		case err == nil:
			b.each(ctx, func(m Message) bool { return yield(m, nil) })
		}
		if err != nil && ctx.Err() == nil && !n.stopping() {
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

// loops has the backlog of all loops of [Node.Messages].
type loops struct {
	mu      sync.Mutex
	backlog *backlog // nil before the first loop
}

// open returns the backlog. It registers the actor that fills the backlog, unless that was
// done.
func (l *loops) open(ctx context.Context, n *Node) (*backlog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.backlog != nil && (!l.backlog.over() || n.stopping()) {
		return l.backlog, nil
	}
	b := new(backlog)
	new := func(*Node) actor.Actor { return &filler{n, b} }
	// A registration that outlives ctx is not undone, so it is waited for.
	err := n.register(context.WithoutCancel(ctx), actors.Register{Ended: b.discard}, new, nil)
	if errors.Is(err, actors.ErrProtocolTaken) {
		return nil, fmt.Errorf("%w: leave out WithHandler and WithMessages to receive them in a loop", err)
	}
	if err == nil {
		l.backlog = b
	}
	return b, err
}

// finish ends all loops when they have received what waits.
func (l *loops) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.backlog == nil {
		l.backlog = new(backlog)
	}
	l.backlog.finish()
}

// filler is the handler of plain messages that hands them to loops.
//
// In: Received. A restart loses nothing: the backlog outlives it.
type filler struct {
	n *Node
	b *backlog
}

func (a *filler) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.Received); ok {
		a.b.put(a.n.plainMessage(m))
		return
	}
	supervisor.Unhandled(c)
}

// String is the actor's line in the tree.
func (a *filler) String() string { return fmt.Sprintf("for loops, %d waiting", a.b.len()) }
