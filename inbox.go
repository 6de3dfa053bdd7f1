package gamelan

import (
	"errors"
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

// Inbox returns the node's durable inbox. Without the option [WithInbox] it is nil, and
// its methods return [ErrNoInbox].
func (n *Node) Inbox() *Inbox { return n.e.Inbox }
