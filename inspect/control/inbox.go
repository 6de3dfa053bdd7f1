package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Messages returns the messages of the node's inbox, for the field of [inspect.Options]. They are nil
// if the node has no inbox.
func Messages(n *gamelan.Node) inspect.Messages {
	if n.Inbox() == nil {
		return nil
	}
	return inboxMessages{n, new(atomic.Int32)}
}

// inboxMessages gives the API the messages of a node's inbox.
type inboxMessages struct {
	node *gamelan.Node
	open *atomic.Int32
}

// maxListeners is how many listen at a time, so that the program's own loops have room.
const maxListeners = 32

// Listen yields the kept and the new messages of the inbox, until ctx or the node ends.
func (m inboxMessages) Listen(ctx context.Context, o inspect.Listening) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		defer m.open.Add(-1)
		if m.open.Add(1) > maxListeners {
			yield(models.Message{}, tooMany)
			return
		}
		if o.Topic != "" && protocol.CheckTopic(o.Topic) != nil {
			yield(models.Message{}, bad("take 1 to 64 bytes without control characters", "%q is no topic", o.Topic))
			return
		}
		for x, err := range m.node.Inbox().Listen(ctx, gamelan.ListenOptions{All: o.All, Topic: o.Topic, Most: o.Most, Wait: true, Name: o.Name}) {
			switch {
			case errors.Is(err, inboxpart.ErrClosed):
				return
			case errors.Is(err, inboxpart.ErrTooManyListeners):
				err = tooMany
			case err != nil:
				err = &inspect.Error{Code: inspect.CodeInternal, Message: "the inbox cannot be read: " + words.Sentence(err), Hint: HintInbox}
			}
			if !yield(shown(&x), err) {
				return
			}
		}
	}
}

var tooMany = &inspect.Error{Code: inspect.CodeFailed, Message: "this node has too many listeners already", Hint: "end one of them"}

// acknowledge returns the API's function that acknowledges messages.
func acknowledge(n *gamelan.Node) func(ctx context.Context, seqs []uint64) error {
	return func(ctx context.Context, seqs []uint64) error {
		err := n.Inbox().Ack(ctx, seqs...)
		if errors.Is(err, inboxpart.ErrClosed) {
			return &inspect.Error{Code: inspect.CodeStopping, Message: "the node is stopping", Hint: "what is not acknowledged comes again"}
		}
		return err
	}
}

// shown returns a message in the form of the API.
func shown(m *gamelan.Message) models.Message {
	v := models.Message{Seq: m.Seq, At: m.At, Peer: m.Peer.String(), Body: m.Body, Topic: m.Topic, Lost: m.Lost}
	if m.Attempt > 1 {
		v.Attempt = m.Attempt
	}
	if !m.From.IsZero() {
		v.From = m.From.String()
	}
	if d := m.DHT; d != nil {
		v.DHT = &models.DHTMessage{Type: d.Type, Encrypted: d.Encrypted, Tag: fmt.Sprintf("%016x", d.Tag), Copies: d.Copies, Stored: d.Stored, SentAt: sentAt(d.Expires, m.At)}
		if !m.From.IsZero() {
			v.DHT.Origin = m.From.NodeID().String()
		}
		if !d.Destination.IsZero() {
			v.DHT.Destination = d.Destination.String()
		}
	}
	return v
}

// sentClock is how far the clock of an author may be ahead for its time of sending to be shown.
const sentClock = time.Minute

// sentAt returns when a message was sent that expires at a time and has arrived at another one:
// nodes let messages expire dht.DefaultExpires after sending. It returns the zero time if the
// message would have been sent after its arrival: it was given more time than that.
func sentAt(expires uint64, arrived time.Time) time.Time {
	lead := uint64(dht.DefaultExpires / time.Second)
	if expires <= lead || expires > uint64(arrived.Add(dht.DefaultExpires+sentClock).Unix()) {
		return time.Time{}
	}
	return time.Unix(int64(expires-lead), 0)
}
