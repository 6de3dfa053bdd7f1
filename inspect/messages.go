package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Messages are the messages that a node receives and keeps, because no handler of the
// user receives them.
type Messages interface {
	// Listen yields the messages that the node keeps, oldest first, and then those that
	// arrive, until ctx ends or o.Most have come. The node keeps a message until it is
	// acknowledged (see Actions); when the loop ends, messages that were not go to
	// another listener. After o.Most messages the loop goes on for a while, until they
	// are acknowledged. An error comes last; an [*Error] is shown as it is.
	Listen(ctx context.Context, o Listening) iter.Seq2[models.Message, error]
}

// Listening are the options of one listener.
type Listening struct {
	All   bool   // copy all messages; otherwise each message goes to one listener only
	Topic string // of the messages; empty: those that have none, with All all
	Most  int    // how many messages; 0: no limit
	Name  string // name by which the client can hand messages back (see Actions); may be empty
}

// messages streams messages, one JSON object a line.
func (h *handler) messages(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	o := Listening{All: q.flag("all", false), Most: q.number("count", 0, 0), Topic: q.text("topic"), Name: q.text("name")}
	switch {
	case q.err != nil:
		return nil, q.err
	case len(o.Name) > maxListener:
		return nil, &Error{Code: CodeBadQuery, Message: "the name of the listener is too long", Hint: "take at most 64 bytes"}
	case !isPrivate(r):
		return nil, &Error{Code: CodeForbidden, Message: "messages are shown on the node's Unix socket, and over TLS with the admin's token", Hint: HintListenHere}
	case h.Messages == nil:
		return nil, notFound("this node does not show its messages", "its program receives them in its own handler")
	}
	s := newStream(w, 0)
	for m, err := range h.Messages.Listen(r.Context(), o) {
		if err != nil {
			s.fail(err)
			break
		}
		b, err := m.MarshalJSON()
		if err != nil || s.line(b) != nil || s.flush() != nil {
			break
		}
	}
	return done, nil
}

// fail ends a stream with a line that holds the error.
func (s *stream) fail(err error) {
	x := (*Error)(nil)
	if !errors.As(err, &x) {
		x = &Error{Code: CodeInternal, Message: Escape(err.Error()), Hint: "look at the node's log"}
	}
	if s.write(struct {
		Error *Error `json:"error"`
	}{x}) == nil {
		s.flush()
	}
}

// streamWrite is how long the client of an action may take nothing. What the action holds, such as the place of a trace,
// is free after that. Listeners and senders may take nothing for as long as they like: they hold only messages of their own.
const streamWrite = 30 * time.Second

// stream writes JSON objects, one a line, as they come.
type stream struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration // how long the client may take nothing; 0: as long as it likes
}

// newStream sends the header at once, so that the client knows that the request was
// accepted.
func newStream(w http.ResponseWriter, patience time.Duration) *stream {
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	s := &stream{w, http.NewResponseController(w), patience}
	s.wait()
	s.flush()
	return s
}

func (s *stream) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.line(b)
}

func (s *stream) line(b []byte) error {
	s.wait()
	_, err := s.w.Write(append(b, '\n'))
	return err
}

// wait bounds how long the next line may wait for the client.
func (s *stream) wait() {
	if s.patience > 0 {
		_ = s.rc.SetWriteDeadline(time.Now().Add(s.patience)) // a test's writer has none
	}
}

// pulse writes an empty line, which readers skip.
func (s *stream) pulse() error {
	if _, err := s.w.Write([]byte{'\n'}); err != nil {
		return err
	}
	return s.flush()
}

func (s *stream) flush() error { return s.rc.Flush() }
