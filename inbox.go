package gamelan

import (
	"context"
	"errors"
	"iter"

	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/receive"
)

// WithInbox makes the node keep received messages on its disk until they are
// acknowledged: [Node.Inbox], [Node.Messages] and the function of [WithMessages] then take
// them from there, and no handler gets them. Messages that were confirmed survive an orderly
// stop, even if the inbox is full: then it accepts no others before it has room. A kill -9 loses at most the messages that were written in the last second and
// those that are still on their way into the inbox, about 2 MiB for each peer and protocol;
// their senders may have been told Confirmed. Who must know that a message is on the disk
// or was handled sends it with [Kept] or [Handled].
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
type Inbox struct{ node *Node }

// Inbox returns the node's durable inbox. Without the option [WithInbox] it is nil, and
// its methods return [ErrNoInbox].
func (n *Node) Inbox() *Inbox {
	if n.e.Inbox == nil {
		return nil
	}
	return &Inbox{n}
}

// part returns the inbox of the node, nil without one.
func (i *Inbox) part() *inboxpart.Inbox {
	if i == nil {
		return nil
	}
	return i.node.e.Inbox
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
func (i *Inbox) Listen(ctx context.Context, o ListenOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if i == nil {
			yield(Message{}, ErrNoInbox)
			return
		}
		for m, err := range i.part().Listen(ctx, o) {
			if !yield(i.node.message(receive.Kept(m)), err) {
				return
			}
		}
	}
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
// copier, until the node ends.
func (i *Inbox) Ack(ctx context.Context, seqs ...uint64) error {
	return i.part().Ack(ctx, seqs...)
}

// Dead yields the messages on the shelf, oldest first: those that were handed out as often as InboxConfig.MaxAttempts says, and not
// acknowledged. They stay in the inbox, and count for its limits, until [Inbox.Retry], [Inbox.Drop] or [Inbox.Ack]. If it yields an error,
// the error comes last.
func (i *Inbox) Dead(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if i == nil {
			yield(Message{}, ErrNoInbox)
			return
		}
		for m, err := range i.part().Dead(ctx) {
			if !yield(i.node.message(receive.Kept(m)), err) {
				return
			}
		}
	}
}

// Retry takes messages off the shelf, without numbers all of them: they are handed out as if they had just come. It
// returns how many that were, and ignores numbers that are not on the shelf.
func (i *Inbox) Retry(ctx context.Context, seqs ...uint64) (int, error) {
	return i.part().Retry(ctx, seqs...)
}

// Drop deletes messages that are on the shelf, without numbers all of them, and returns how many that were when
// that is synced. The outcome of a message that was sent with [Handled] has failed then, with [ErrDropped]. It ignores numbers that
// are not on the shelf.
func (i *Inbox) Drop(ctx context.Context, seqs ...uint64) (int, error) {
	return i.part().Drop(ctx, seqs...)
}
