package gamelan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/actors/inbox"
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
		if o.inbox != nil {
			return errors.New("gamelan: WithInbox was given twice")
		}
		o.inbox = &c
		return nil
	}
}

// Inbox returns the node's durable inbox. Without the option [WithInbox] it is nil, and
// its methods return [ErrNoInbox].
func (n *Node) Inbox() *Inbox { return n.inbox }

// openInbox opens the inbox if the options ask for one, and registers its actors for the
// messages that it keeps.
func (b *builder) openInbox(n *Node) error {
	if b.options.inbox == nil {
		return nil
	}
	if b.handled() {
		return errors.New("gamelan: WithInbox and WithHandler were both given, and messages of connected peers go to one of them; leave one out")
	}
	c, err := b.options.inbox.Settle(b.Wire.Limits.MessageBody)
	if err != nil {
		return err
	}
	in, err := inbox.Open(inbox.Options{
		Limits: inbox.Limits{Bytes: c.MaxBytes, Messages: c.MaxMessages, DHT: len(c.Types) > 0}, Disk: b.db.Client(), Wall: b.runtime.Wall,
	})
	if err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	in.Bind(n.trunk, n.pauseInbox)
	n.inbox = in
	n.parts = append(n.parts, in.Part())
	b.registered = append(b.registered, registered{new: func(*Node) actor.Actor { return in.NewActor() }})
	for _, t := range c.Types {
		b.registered = append(b.registered, registered{Register: actors.Register{Type: &t}, new: func(*Node) actor.Actor { return in.NewTypeActor() }})
	}
	return nil
}

// inboxAgain is the pause before a question to the inbox is repeated.
const inboxAgain = 50 * time.Millisecond

func (n *Node) pauseInbox(ctx context.Context) error {
	select {
	case <-n.closed:
		return inbox.ErrClosed
	case <-n.closing:
		return inbox.ErrClosed
	case <-ctx.Done():
	case <-time.After(inboxAgain):
	}
	return nil
}
