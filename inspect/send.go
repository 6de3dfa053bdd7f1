package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// DefaultMaxBody is the largest message that is accepted, in bytes.
const DefaultMaxBody = 8 << 20

// sendWindow is roughly how many messages of one request may have no outcome yet, or an
// outcome that the client has not read.
const sendWindow = 4096

// pulseEvery is how often a stream of outcomes shows that it is alive.
const pulseEvery = time.Second

// Sender sends messages to peers.
type Sender interface {
	// Resolve returns the node id, in digits, of a peer as a person writes it: a node
	// id, a public key, or KEY::ADDRESS as gamelan id prints it. An address that comes
	// with the key is stored only when it has worked. The handler answers with an
	// [*Error] as it is; the text of any other error must be a sentence.
	Resolve(ctx context.Context, peer string) (id string, err error)
	// Send gives one message to the node and returns when the node has accepted it; it
	// waits for credit until ctx ends. Messages to one peer are sent in the order of
	// the calls. An error says why the message was not accepted.
	Send(ctx context.Context, m SendRequest) (Pending, error)
}

// Pending is a message that was accepted.
type Pending interface {
	// Wait waits for the outcome. If ctx ends first, the message is withdrawn if it was
	// not written yet, and otherwise in doubt.
	Wait(ctx context.Context) models.Outcome
}

// SendRequest is one message to one peer. With Resend it is sent again when its outcome
// would be in doubt; a node of another make may get it twice.
type SendRequest struct {
	Peer   string // as Resolve returned it
	Body   []byte
	Resend bool
	// Outcome is what confirmed means: [OutcomeRead], [OutcomeKept] or [OutcomeHandled].
	Outcome string
	// Topic is the message's, without Outcome with [OutcomeHandled]; empty: it has none.
	Topic string
	// Until is how long it waits for a peer that is away; 0: not at all.
	Until time.Duration
}

// The values of SendRequest.Outcome.
const (
	OutcomeRead    = "read"    // the peer's node has read the message
	OutcomeKept    = "kept"    // the peer's inbox has it on the disk
	OutcomeHandled = "handled" // a program there has handled it
)

// send reads messages from the body and streams their outcomes while it reads. A message
// without an outcome after the parameter timeout is withdrawn, and a search for the peer
// ends after it. The time of a message begins when the message is read; with at_once it
// begins with the request, so that it includes the search.
func (m *mutations) send(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	peer, resend, limit := q.text("peer"), q.flag("resend", false), q.duration("timeout")
	atOnce := q.flag("at_once", false)
	outcome, until := q.choice("outcome", OutcomeRead, OutcomeRead, OutcomeKept, OutcomeHandled), q.duration("until")
	topic := q.text("topic")
	if q.err == nil && peer == "" {
		q.refuse("no peer is named", "name the recipient with ?peer=, a node id or a public key")
	}
	kind := q.bodyKind(r)
	switch {
	case q.err != nil:
		return nil, q.err
	case m.Sender == nil:
		return nil, notFound("this node does not send messages from here", "send them from the program that runs it")
	}
	m.tell("admin.messages")
	whole, end := within(r.Context(), limit)
	defer end()
	id, err := m.Sender.Resolve(whole, peer)
	if err != nil && errors.Is(whole.Err(), context.DeadlineExceeded) {
		err = &Error{Code: CodeUnknownPeer, Message: fmt.Sprintf("the peer was not found within %s: %s", limit, err), Hint: "allow more time, or give its address, too, as KEY::ADDRESS"}
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return nil, e
	} else if err != nil {
		return nil, &Error{Code: CodeUnknownPeer, Message: err.Error(), Hint: HintPeer}
	}
	return transmit(w, r, kind, newBatch(
		func(ctx context.Context, body []byte) (func(context.Context) models.Outcome, error) {
			ctx, cancel := withinOrBy(ctx, limit, whole, atOnce)
			p, err := m.Sender.Send(ctx, SendRequest{id, body, resend, outcome, topic, until})
			if err != nil {
				cancel()
				return nil, err
			}
			return func(context.Context) models.Outcome {
				defer cancel()
				return p.Wait(ctx)
			}, nil
		},
		func(n uint64, o models.Outcome, took time.Duration) models.Sent {
			return models.Sent{N: n, Peer: id, Outcome: o, MS: milliseconds(took)}
		},
		func(reason, detail string) models.Outcome {
			return models.Outcome{Outcome: models.OutcomeFailed, Reason: reason, Detail: detail}
		},
	))
}

// within returns a context that ends with ctx, or after limit if that is not 0.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// withinOrBy is within, or with by a context that ends with ctx, or when whole does.
func withinOrBy(ctx context.Context, limit time.Duration, whole context.Context, by bool) (context.Context, context.CancelFunc) {
	if end, ok := whole.Deadline(); ok && by {
		return context.WithDeadline(ctx, end)
	}
	return within(ctx, limit)
}
