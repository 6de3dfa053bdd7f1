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

// InboxConfig are the limits of a durable inbox. A number that is 0 has its
// default.
type InboxConfig struct {
	// MaxBytes bounds the bytes of kept messages, including their metadata. It must be
	// enough for one message of the largest size: see [InboxLeast]. Default 256 MiB.
	MaxBytes int64

	// MaxMessages bounds the number of kept messages. Default 100,000.
	MaxMessages int

	// Types are the DHT message types that are kept together with plain messages. Then
	// each kind leaves a quarter of MaxBytes and MaxMessages to the other one, and a
	// message over the DHT is kept if its peer has not more than half of what is free for
	// such messages, and its author not more than a quarter. Default: none.
	Types []int32
}

// DefaultInboxConfig returns the zero InboxConfig with its defaults filled in.
func DefaultInboxConfig() InboxConfig {
	return InboxConfig{MaxBytes: 256 << 20, MaxMessages: 100_000}
}

// InboxLeast returns the minimum of InboxConfig.MaxBytes for a node whose messages have at
// most body bytes: the largest message must fit. With types, which says that there are
// InboxConfig.Types, the largest message over the DHT must fit, too. That takes 8/3 of its
// size, because one message may have half of what such messages may take together.
func InboxLeast(body int, types bool) int64 { return inbox.Least(int64(body)+inbox.Overhead, types) }

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
		d := DefaultInboxConfig()
		def(&c.MaxBytes, d.MaxBytes)
		def(&c.MaxMessages, d.MaxMessages)
		if c.MaxMessages < 1 {
			return badConfig("Inbox.MaxMessages", fmt.Errorf("got %d, want at least 1", c.MaxMessages))
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
	c := b.options.inbox
	if c == nil {
		return nil
	}
	if b.handled() {
		return errors.New("gamelan: WithInbox and WithHandler were both given, and messages of connected peers go to one of them; leave one out")
	}
	if least := InboxLeast(b.profile.Limits.MessageBody, len(c.Types) > 0); c.MaxBytes < least {
		return badConfig("Inbox.MaxBytes", fmt.Errorf("got %d bytes, want at least %d: the largest message must fit", c.MaxBytes, least))
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
