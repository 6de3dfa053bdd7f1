package inspect

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"time"
	"unicode/utf8"
)

// Messages are the messages that a node receives and keeps, because no handler of the
// user receives them.
type Messages interface {
	// Listen yields the messages that the node keeps, oldest first, and then those that
	// arrive, until ctx ends or o.Most have come. The node keeps a message until it is
	// acknowledged (see Actions); when the loop ends, messages that were not go to
	// another listener. After o.Most messages the loop goes on for a while, until they
	// are acknowledged. An error comes last; an [*Error] is shown as it is.
	Listen(ctx context.Context, o Listening) iter.Seq2[Message, error]
}

// Listening are the options of one listener.
type Listening struct {
	All  bool   // copy all messages; otherwise each message goes to one listener only
	Most int    // how many messages; 0: no limit
	Name string // name by which the client can hand messages back (see Actions); may be empty
}

// ReasonInboxFull is the reason, among the counts of received messages, of messages over
// the DHT for which the inbox had no room.
const ReasonInboxFull = "inbox full"

// Message is one message that the node received.
type Message struct {
	Seq  uint64    // grows with each message, also over restarts; its number for acknowledging it
	At   time.Time // of arrival
	From string    // public key of the author; empty: it came over the DHT without a signature
	Peer string    // node id of the peer that sent it to this node
	Body []byte
	Lost uint64      // for a listener with All: messages that it missed just before this one, for lack of room
	DHT  *DHTMessage // nil: it is a plain message
}

// DHTMessage are the additional fields of a message over the DHT. For such a message,
// Message.Peer need not be the author.
type DHTMessage struct {
	Origin      string `json:"origin,omitempty"` // node id of the author, proven by a signature; empty: not signed
	Type        int32  `json:"type"`
	Encrypted   bool   `json:"encrypted"`
	Destination string `json:"destination,omitempty"` // public key; empty: none
	Tag         string `json:"tag"`                   // 16 hexadecimal digits
	Copies      uint32 `json:"copies"`                // how often it has come, this time included
}

// messageJSON is the form of Message on the wire: the body is text when it is
// valid UTF-8 and base64 otherwise.
type messageJSON struct {
	Seq    uint64      `json:"seq"`
	At     time.Time   `json:"at"`
	From   string      `json:"from,omitempty"`
	Peer   string      `json:"peer"`
	Size   int         `json:"size"`
	Text   *string     `json:"text,omitempty"`
	Base64 *string     `json:"base64,omitempty"`
	Lost   uint64      `json:"lost,omitempty"`
	DHT    *DHTMessage `json:"dht,omitempty"`
}

// MarshalJSON writes the body as "text" when it is valid UTF-8, and otherwise as
// "base64". It also writes a long body as base64 if its text would be more than twice as
// long: 8 MiB of control characters from a peer would become 48 MiB for each listener.
func (m Message) MarshalJSON() ([]byte, error) {
	j := messageJSON{Seq: m.Seq, At: m.At, From: m.From, Peer: m.Peer, Size: len(m.Body), Lost: m.Lost, DHT: m.DHT}
	if utf8.Valid(m.Body) && (len(m.Body) <= shortText || escapedLen(m.Body) <= 2*len(m.Body)) {
		j.Text = new(string(m.Body))
	} else {
		j.Base64 = new(base64.StdEncoding.EncodeToString(m.Body))
	}
	return json.Marshal(j)
}

// shortText is the length up to which valid UTF-8 is always written as text.
const shortText = 4 << 10

// escapedLen returns the greatest length of valid UTF-8 inside a JSON string.
func escapedLen(b []byte) (n int) {
	for _, c := range b {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n += 2
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += len(`\u0000`)
		default:
			n++
		}
	}
	return n
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Message) UnmarshalJSON(b []byte) error {
	var j messageJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*m = Message{Seq: j.Seq, At: j.At, From: j.From, Peer: j.Peer, Lost: j.Lost, DHT: j.DHT}
	switch {
	case j.Text != nil:
		m.Body = []byte(*j.Text)
	case j.Base64 != nil:
		body, err := base64.StdEncoding.DecodeString(*j.Base64)
		if err != nil {
			return err
		}
		m.Body = body
	}
	return nil
}

// messages streams messages, one JSON object a line.
func (h *handler) messages(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r, "all", "count", "name")
	o := Listening{All: q.flag("all", false), Most: q.number("count", 0, 0), Name: q.text("name")}
	switch {
	case q.err != nil:
		fail(w, q.err)
		return
	case len(o.Name) > maxListener:
		fail(w, &Error{CodeBadQuery, "the name of the listener is too long", "take at most 64 bytes"})
		return
	case !overUnix(r):
		fail(w, &Error{CodeForbidden, "messages are shown on the node's Unix socket only", "use gamelan listen on the machine of the node"})
		return
	case h.Messages == nil:
		notFound(w, "this node does not show its messages", "its program receives them in its own handler")
		return
	}
	s := newStream(w)
	for m, err := range h.Messages.Listen(r.Context(), o) {
		if err != nil {
			s.fail(err)
			return
		}
		b, err := m.MarshalJSON()
		if err != nil || s.line(b) != nil || s.flush() != nil {
			return
		}
	}
}

// fail ends a stream with a line that holds the error.
func (s *stream) fail(err error) {
	x := (*Error)(nil)
	if !errors.As(err, &x) {
		x = &Error{CodeInternal, Escape(err.Error()), "look at the node's log"}
	}
	if s.write(struct {
		Error *Error `json:"error"`
	}{x}) == nil {
		s.flush()
	}
}

// stream writes JSON objects, one a line, as they come.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// newStream sends the header at once, so that the client knows that the request was
// accepted.
func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	s := &stream{w, http.NewResponseController(w)}
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
	_, err := s.w.Write(append(b, '\n'))
	return err
}

// pulse writes an empty line, which readers skip.
func (s *stream) pulse() error {
	if _, err := s.w.Write([]byte{'\n'}); err != nil {
		return err
	}
	return s.flush()
}

func (s *stream) flush() error { return s.rc.Flush() }
