package inspect

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/http"
	"time"
	"unicode/utf8"
)

// Messages is what a node receives and no handler of the user's takes.
type Messages interface {
	// Subscribe yields first what the node has kept (at most the last 1,000
	// messages, gathered while nobody listened) and then what arrives, until
	// ctx ends. A message counts as delivered when the loop's body has
	// returned; until then its sender's credit is held, so a slow listener
	// slows the senders and loses nothing.
	Subscribe(ctx context.Context) iter.Seq[Message]
}

// Message is one message that the node received.
type Message struct {
	Seq  uint64    // counts what this node has received, from 1
	At   time.Time // of arrival
	From string    // public key of who wrote it; empty: over the DHT, and not signed
	Peer string    // node id of the peer it came from
	Body []byte
	Lost uint64      // how many were dropped just before this one, because nobody listened
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
// when it is not.
func (m Message) MarshalJSON() ([]byte, error) {
	j := messageJSON{Seq: m.Seq, At: m.At, From: m.From, Peer: m.Peer, Size: len(m.Body), Lost: m.Lost, DHT: m.DHT}
	if utf8.Valid(m.Body) {
		j.Text = new(string(m.Body))
	} else {
		j.Base64 = new(base64.StdEncoding.EncodeToString(m.Body))
	}
	return json.Marshal(j)
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
	q := newQuery(r)
	switch {
	case q.err != nil:
		fail(w, q.err)
		return
	case !overUnix(r):
		fail(w, &Error{CodeForbidden, "messages are shown on the node's Unix socket only", "use gamelan listen on the machine of the node"})
		return
	case h.Messages == nil:
		notFound(w, "this node does not show its messages", "the program around it hears them in a handler of its own")
		return
	}
	s := newStream(w)
	for m := range h.Messages.Subscribe(r.Context()) {
		if s.write(m) != nil || s.flush() != nil {
			return
		}
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
	_, err = s.w.Write(append(b, '\n'))
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
