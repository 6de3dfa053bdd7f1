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

// Messages is what a node receives and no handler of the user's takes.
type Messages interface {
	// Listen yields what the node keeps, oldest first, and what arrives, until
	// ctx ends or so many have come as were asked for. A message that is yielded
	// stays kept until it is acknowledged (see Actions); what is not when the
	// loop ends goes to another listener; a loop that has got all it asked for
	// goes on for a while, until it is acknowledged. An error is the last thing that is
	// yielded, and an [*Error] is shown as it is.
	Listen(ctx context.Context, o Listening) iter.Seq2[Message, error]
}

// Listening says how to listen.
type Listening struct {
	All  bool   // copy everything, whoever else has it; else each message goes to one listener
	Most int    // how many messages; 0: no limit
	Name string // what the client hands them back by (see Actions); may be empty
}

// ReasonInboxFull is the reason of messages over the DHT for which the inbox had
// no room, among the counts of what came in.
const ReasonInboxFull = "inbox full"

// Message is one message that the node received.
type Message struct {
	Seq  uint64    // grows with each message, over restarts as well; what it is acknowledged by
	At   time.Time // of arrival
	From string    // public key of who wrote it; empty: over the DHT, and not signed
	Peer string    // node id of the peer it came from
	Body []byte
	Lost uint64      // of a copy: how many it did not get just before, because room was needed
	DHT  *DHTMessage // nil: it is a plain message
}

// DHTMessage is what is known of a message that came over the DHT beside what
// every message has. Peer need not be who wrote it: that is From.
type DHTMessage struct {
	Origin      string `json:"origin,omitempty"` // node id of who wrote it, proven by a signature; empty: it does not say
	Type        int32  `json:"type"`
	Encrypted   bool   `json:"encrypted"`
	Destination string `json:"destination,omitempty"` // public key; empty: it names nobody
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

// MarshalJSON writes the body as "text" when it is valid UTF-8 and as "base64"
// when it is not, or is long and would be more than twice as long as text: a
// peer could have 8 MiB of control characters become 48 MiB for each listener.
func (m Message) MarshalJSON() ([]byte, error) {
	j := messageJSON{Seq: m.Seq, At: m.At, From: m.From, Peer: m.Peer, Size: len(m.Body), Lost: m.Lost, DHT: m.DHT}
	if utf8.Valid(m.Body) && (len(m.Body) <= shortText || escapedLen(m.Body) <= 2*len(m.Body)) {
		j.Text = new(string(m.Body))
	} else {
		j.Base64 = new(base64.StdEncoding.EncodeToString(m.Body))
	}
	return json.Marshal(j)
}

// shortText is how long a body is at most that is text whatever is in it.
const shortText = 4 << 10

// escapedLen is how long valid UTF-8 is at most inside a JSON string.
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

// messages streams what arrives, one JSON object a line.
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
		notFound(w, "this node does not show its messages", "the program around it hears them in a handler of its own")
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

// fail ends a stream with an error, in a line of its own.
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

// newStream sends the header at once, so that the client knows that it is
// being served.
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
