package inspect

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"
)

// DefaultMaxBody is the largest message that is accepted when Sender does not
// say otherwise.
const DefaultMaxBody = 8 << 20

// sendWindow is about how many messages of one request may be on their way, or
// have an outcome that the client has not read yet.
const sendWindow = 4096

// pulseEvery is how often a stream of outcomes shows that it is alive.
const pulseEvery = time.Second

// Sender sends messages to peers.
type Sender interface {
	// Resolve turns what a person writes (a node id, a public key, or
	// KEY::ADDRESS as gamelan id prints it) into a node id in digits, and
	// remembers an address that was given. The error is a sentence.
	Resolve(ctx context.Context, peer string) (id string, err error)
	// Send gives one message to the node and returns once it is accepted; it
	// waits for credit until ctx ends. Messages to one peer leave in the order
	// of the calls. An error says why the message was not accepted.
	Send(ctx context.Context, m SendRequest) (Pending, error)
}

// Pending is a message that was accepted.
type Pending interface {
	// Wait waits for the outcome. If ctx ends first, the message is withdrawn
	// as far as that is still possible, and the outcome says how far it was.
	Wait(ctx context.Context) Outcome
}

// SendRequest is one message to one peer. Resend lets it be sent again when
// its outcome would be in doubt, so that it may arrive twice.
type SendRequest struct {
	Peer   string // as Resolve returned it
	Body   []byte
	Resend bool
}

// Outcome is the one outcome of one message: "confirmed", "in_doubt" or
// "failed". Confirmed means that the peer's multiplexer has read the message,
// not that anybody handled it.
type Outcome struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"` // of a failure: "dial failed", "banned", …
	Detail  string `json:"detail,omitempty"`
}

// The three outcomes.
const (
	OutcomeConfirmed = "confirmed"
	OutcomeInDoubt   = "in_doubt"
	OutcomeFailed    = "failed"
)

// Sent is one line of the answer to POST /v1/messages: what became of the Nth
// message of the request, counted from 1. Lines come in the order of the
// messages. MS is the time since it was accepted, in milliseconds.
type Sent struct {
	N    uint64 `json:"n"`
	Peer string `json:"peer"`
	Outcome
	MS float64 `json:"ms"`
}

// send reads messages from the body and streams their outcomes while it reads.
func (m *mutations) send(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r, "peer", "resend")
	peer, resend := q.text("peer"), q.flag("resend", false)
	if q.err == nil && peer == "" {
		q.refuse("no peer is named", "say to whom with ?peer=, a node id or a public key")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") == "" {
		kind, err = "text/plain", nil
	}
	if err != nil || (kind != "text/plain" && kind != "application/octet-stream") {
		q.refuse("this kind of body is not understood", "send text/plain for one message a line, application/octet-stream for one message in all")
	}
	switch {
	case q.err != nil:
		fail(w, q.err)
		return
	case m.Sender == nil:
		notFound(w, "this node does not send messages from here", "send them from the program that runs it")
		return
	}
	m.tell("admin.messages")
	id, err := m.Sender.Resolve(r.Context(), peer)
	if err != nil {
		fail(w, &Error{CodeUnknownPeer, err.Error(), "give a node id or a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it"})
		return
	}
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil {
		fail(w, &Error{CodeInternal, "this connection cannot send and receive at once", "use HTTP/1.1"})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	b := newBatch(m.Sender, id, resend)
	lines := newLineReader(r.Body, DefaultMaxBody)
	next := lines.next
	if kind == "application/octet-stream" {
		next = once(lines.whole)
	}
	var work sync.WaitGroup
	work.Go(func() { b.read(ctx, cancel, next) })
	work.Go(func() { b.wait(ctx) })
	if b.stream(newStream(w)) != nil { // nobody listens any more
		cancel()
		_ = rc.SetReadDeadline(time.Now()) // ends a read under way
		for range b.outcomes {             // of the rest
		}
	}
	work.Wait()
}

// once makes a source of lines of a single message.
func once(whole func() ([]byte, error)) func() ([]byte, error) {
	done := false
	return func() ([]byte, error) {
		if done {
			return nil, io.EOF
		}
		done = true
		return whole()
	}
}

// batch is one request's messages on their way: read gives them to the node,
// wait waits for their outcomes in order, stream writes these. The channels
// between them are the bound: a client that does not read its outcomes is not
// read from either.
type batch struct {
	sender   Sender
	peer     string
	resend   bool
	accepted chan accepted
	outcomes chan Sent
}

// accepted is a message whose outcome is awaited, or known when pending is nil.
type accepted struct {
	n       uint64
	at      time.Time
	pending Pending
	outcome Outcome
}

func newBatch(s Sender, peer string, resend bool) *batch {
	return &batch{s, peer, resend, make(chan accepted, sendWindow), make(chan Sent, sendWindow/16)}
}

// read sends what next returns until it returns an error. One other than the
// end of the body means that the client has gone: cancel withdraws what is not
// written yet.
func (b *batch) read(ctx context.Context, cancel func(), next func() ([]byte, error)) {
	defer close(b.accepted)
	for n := uint64(1); ; n++ {
		body, err := next()
		m := accepted{n: n, at: time.Now()}
		switch {
		case err == io.EOF:
			return
		case errors.Is(err, errLongLine):
			m.outcome = Outcome{OutcomeFailed, "too long", "a message may have at most 8 MiB; the rest of the line was skipped"}
		case err != nil:
			cancel()
			return
		default:
			if m.pending, err = b.sender.Send(ctx, SendRequest{b.peer, body, b.resend}); err != nil {
				m.pending, m.outcome = nil, Outcome{OutcomeFailed, "not accepted", err.Error()}
			}
		}
		b.accepted <- m
	}
}

// wait turns what was accepted into outcomes.
func (b *batch) wait(ctx context.Context) {
	defer close(b.outcomes)
	for m := range b.accepted {
		if m.pending != nil {
			m.outcome = m.pending.Wait(ctx)
		}
		b.outcomes <- Sent{N: m.n, Peer: b.peer, Outcome: m.outcome, MS: float64(time.Since(m.at).Microseconds()) / 1000}
	}
}

// stream writes outcomes as they come and flushes whenever none is waiting.
// While none comes, an empty line now and then finds out whether the client is
// still there: nothing else would, while Send waits for credit.
func (b *batch) stream(s *stream) error {
	pulse := time.NewTicker(pulseEvery)
	defer pulse.Stop()
	for {
		select {
		case o, ok := <-b.outcomes:
			if !ok {
				return nil
			}
			err := s.write(o)
			if err == nil && len(b.outcomes) == 0 {
				err = s.flush()
			}
			if err != nil {
				return err
			}
		case <-pulse.C:
			if err := s.pulse(); err != nil {
				return err
			}
		}
	}
}
