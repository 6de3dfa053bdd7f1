package daemon

import (
	"context"
	"errors"
	"iter"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// inboxMessages lets the API listen to a node's inbox.
type inboxMessages struct{ node *gamelan.Node }

// Listen yields what the inbox keeps and what arrives, until ctx or the node
// ends.
func (m inboxMessages) Listen(ctx context.Context, o inspect.Listening) iter.Seq2[inspect.Message, error] {
	return func(yield func(inspect.Message, error) bool) {
		for x, err := range m.node.Inbox().Listen(ctx, inbox.ListenOptions{All: o.All, Most: o.Most, Wait: true, Name: o.Name}) {
			switch {
			case errors.Is(err, inbox.ErrClosed):
				return
			case errors.Is(err, inbox.ErrTooManyListeners):
				err = &inspect.Error{Code: inspect.CodeFailed, Message: "too many listen to this node already", Hint: "end one of them"}
			case err != nil:
				err = &inspect.Error{Code: inspect.CodeInternal, Message: "the inbox cannot be read: " + failure.Text(err), Hint: "look at gamelan status; what was not acknowledged stays on the disk"}
			}
			if !yield(shown(&x), err) {
				return
			}
		}
	}
}

// acknowledge is the API's way to acknowledge messages.
func acknowledge(n *gamelan.Node) func(ctx context.Context, seqs []uint64) error {
	return func(ctx context.Context, seqs []uint64) error { return n.Inbox().Ack(ctx, seqs...) }
}

// shown is a message as the API shows it.
func shown(m *inbox.Message) inspect.Message {
	v := inspect.Message{Seq: m.Seq, At: m.At, Peer: m.Peer.String(), Body: m.Body, Lost: m.Lost}
	if !m.From.IsZero() {
		v.From = m.From.String()
	}
	if d := m.DHT; d != nil {
		v.DHT = &inspect.DHTMessage{Type: d.Type, Encrypted: d.Encrypted, Tag: api.Tag(d.Tag), Copies: d.Copies}
		if !m.From.IsZero() {
			v.DHT.Origin = m.From.NodeID().String()
		}
		if !d.Destination.IsZero() {
			v.DHT.Destination = d.Destination.String()
		}
	}
	return v
}

// lastWords says what of the inbox whoever stops the node should know.
func (d *daemon) lastWords(s inbox.Status) {
	if n := s.Messages + s.Waiting; n > 0 {
		d.Output.Note("Kept: %s on the disk that nobody has acknowledged; read with %q once the node runs again.", inspect.Count(uint64(n), "message"), d.Dir.Command("listen"))
		if d.Output.JSON {
			d.logger.Warn("messages that nobody has acknowledged are kept on the disk", "n", n)
		}
	}
	if s.Dropped > 0 {
		d.Output.Note("Dropped: %s over the DHT that the inbox had no room for (inbox full).", inspect.Count(s.Dropped, "message"))
		if d.Output.JSON {
			d.logger.Warn("messages over the dht were dropped: inbox full", "n", s.Dropped)
		}
	}
}
