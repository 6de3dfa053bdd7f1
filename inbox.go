package gamelan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// InboxConfig are the limits of a durable inbox. A number that is 0 has its
// default.
type InboxConfig struct {
	// MaxBytes is how many bytes of messages are kept, with what is known of each,
	// at least one message of the largest size. Default 256 MiB.
	MaxBytes int64

	// MaxMessages is how many messages are kept. Default 100,000.
	MaxMessages int

	// Types are the types of messages over the DHT that are kept with the plain
	// ones. Default: none.
	Types []int32
}

// DefaultInboxConfig has every default written out.
func DefaultInboxConfig() InboxConfig {
	return InboxConfig{MaxBytes: 256 << 20, MaxMessages: 100_000}
}

// InboxLeast is the least InboxConfig.MaxBytes of a node whose messages have at
// most body bytes: the largest message must fit.
func InboxLeast(body int) int64 { return int64(body) + inbox.Overhead }

// WithInbox has the node keep the messages that it receives on its disk until
// they are acknowledged, instead of giving them to a handler: see [Node.Inbox].
// What was confirmed to the sender and then read by the node survives its
// restart; a kill -9 loses at most what was written in the last second, and what
// stood in windows and credit, about 2 MiB for each peer and protocol.
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

// Inbox returns the node's durable inbox. Without the option [WithInbox] it is nil,
// and its methods answer [inbox.ErrNone].
func (n *Node) Inbox() *inbox.Inbox { return n.inbox }

// openInbox makes the inbox of b, if it is to have one, and has it hear what it
// keeps.
func (b *builder) openInbox(n *Node) error {
	c := b.options.inbox
	if c == nil {
		return nil
	}
	if slices.ContainsFunc(b.registered, func(r registered) bool { return r.rank() == 0 }) {
		return errors.New("gamelan: WithInbox and WithHandler were both given, and plain messages go to one of them; leave one out")
	}
	if least := InboxLeast(b.profile.Limits.MessageBody); c.MaxBytes < least {
		return badConfig("Inbox.MaxBytes", fmt.Errorf("got %d bytes, want at least %d: the largest message must fit", c.MaxBytes, least))
	}
	in, err := inbox.Open(inbox.Options{
		Limits: inbox.Limits{Bytes: c.MaxBytes, Messages: c.MaxMessages}, Disk: b.db.Client(), Wall: b.runtime.Wall,
	})
	if err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	in.Bind(n.trunk, n.pauseInbox)
	n.inbox = in
	b.registered = append(b.registered, registered{new: func(*Node) actor.Actor { return in.NewActor() }})
	for _, t := range c.Types {
		b.registered = append(b.registered, registered{Register: actors.Register{Type: &t}, new: func(*Node) actor.Actor { return in.NewEar() }})
	}
	return nil
}

// inboxAgain is the pause before the inbox is asked again that did not answer.
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

// inboxHigh is the part of its limits from which on the level of an inbox is a
// warning.
const inboxHigh = 0.75

// inboxSection is how the inbox is; nil without one.
func inboxSection(n *Node) *models.Inbox {
	if n.inbox == nil {
		return nil
	}
	s := n.inbox.Status()
	v := &models.Inbox{
		Messages: s.Messages, MaxMessages: s.Limits.Messages, Bytes: s.Bytes, MaxBytes: s.Limits.Bytes,
		InHand: s.InHand, Waiting: s.Waiting, WaitingBytes: s.WaitingBytes, Listeners: s.Listeners, Copies: s.Copies,
		Received: s.Received, Acknowledged: s.Acked, Dropped: s.Dropped, Damaged: s.Damaged, Full: s.Full,
	}
	if s.Oldest != 0 {
		v.OldestAt = time.Unix(0, s.Oldest)
	}
	if s.Err != nil {
		v.Trouble = sentence(s.Err)
	}
	return v
}

// inboxDegraded are the reasons for which a node with this inbox does not work as
// it should.
func inboxDegraded(v *models.Inbox) (list []string) {
	if v == nil {
		return nil
	}
	if v.Trouble != "" {
		list = append(list, "the inbox cannot be written or read, and messages wait: "+v.Trouble)
	}
	if v.Full {
		list = append(list, inboxFull(v))
	}
	return list
}

// inboxWarnings are what else an operator should know of the inbox.
func inboxWarnings(v *models.Inbox) (list []string) {
	if v == nil {
		return nil
	}
	if level := v.Level(); !v.Full && level >= inboxHigh {
		list = append(list, fmt.Sprintf("the inbox is %.0f%% full, with %s messages; acknowledge some, as gamelan listen does, before senders have to wait",
			level*100, inspect.Number(uint64(v.Messages))))
	}
	if v.Dropped > 0 {
		list = append(list, fmt.Sprintf("%s messages over the DHT were dropped since the start because the inbox was full", inspect.Number(v.Dropped)))
	}
	if v.Damaged > 0 {
		list = append(list, inspect.Count(uint64(v.Damaged), "record")+" of the inbox could not be read and were left as they are")
	}
	return list
}

func inboxFull(v *models.Inbox) string {
	return fmt.Sprintf("the inbox is full, with %s messages: plain senders wait, and messages over the DHT are dropped; acknowledge some, as gamelan listen does",
		inspect.Number(uint64(v.Messages)))
}
