package gamelan

import (
	"context"
	"errors"
	"iter"

	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
)

// WithInbox makes the node keep received messages on its disk until they are
// acknowledged: [Node.Inbox], [Node.Messages] and the function of [WithMessages] then take
// them from there, and no handler gets them. Messages that were confirmed survive an orderly
// stop, even if the inbox is full: then it accepts no others before it has room. A kill -9 loses at most the messages that were written in the last second and
// those that are still on their way into the inbox, about 2 MiB for each peer and protocol;
// their senders may have been told Confirmed. Who must know that a message was handled has
// the receiver answer.
func WithInbox(c InboxConfig) Option {
	return func(o *options) error {
		if o.Inbox != nil {
			return errors.New("gamelan: WithInbox was given twice")
		}
		o.Inbox = &c
		return nil
	}
}

// Inbox is the node's durable inbox: see [Node.Inbox]. Its methods may be called from any goroutine.
type Inbox struct{ in *inboxpart.Inbox }

// Inbox returns the node's durable inbox. Without the option [WithInbox] it is nil, and
// its methods return [ErrNoInbox].
func (n *Node) Inbox() *Inbox {
	if n.e.Inbox == nil {
		return nil
	}
	return &Inbox{n.e.Inbox}
}

// part returns the inbox of the node, nil without one.
func (i *Inbox) part() *inboxpart.Inbox {
	if i == nil {
		return nil
	}
	return i.in
}

// Status returns the state of the inbox after the actor's last message.
func (i *Inbox) Status() InboxStatus {
	return i.part().Status()
}

// Listen yields the kept messages, oldest first, and then new ones as they come, until
// ctx or the node ends. If it yields an error, the error comes last. Acknowledge a
// yielded message with [Inbox.Ack] and its number. A listener has at most 4,096 messages
// and 4 MiB in hand; at that limit Listen waits until some are acknowledged.
//
// A message whose record cannot be read is passed over, counted in Damaged, and left on the
// disk.
//
// Messages that are not acknowledged when the loop ends go to the next listener, in
// order. After Most messages they stay for another ten seconds first, unless o.Wait is
// set. A message that is not acknowledged within a minute goes to another listener.
func (i *Inbox) Listen(ctx context.Context, o ListenOptions) iter.Seq2[KeptMessage, error] {
	return i.part().Listen(ctx, o)
}

// HandBack ends the listener with this name. When it returns nil, the messages that the
// listener has not acknowledged are free for the next listener, in order. It does nothing
// if there is no such listener.
func (i *Inbox) HandBack(ctx context.Context, name string) error {
	return i.part().HandBack(ctx, name)
}

// Ack acknowledges messages: they are deleted, and no listener gets them again. It
// returns when the deletion is synced. It ignores numbers that are not kept.
//
// An acknowledged message that a copier has not had yet stays on the disk for that
// copier. After a kill -9 listeners get such a message again.
func (i *Inbox) Ack(ctx context.Context, seqs ...uint64) error {
	return i.part().Ack(ctx, seqs...)
}
