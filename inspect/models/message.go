package models

import (
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

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
	// Topic is the word that its sender gave it; empty: none.
	Topic string
	// Attempt is how often the message was handed out, with this time; 0: once, or the listener is one with All.
	Attempt int
	Lost    uint64      // for a listener with All: messages that it missed just before this one, for lack of room
	DHT     *DHTMessage // nil: it is a plain message
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
	Stored      bool   `json:"stored,omitempty"`      // another node had stored it for this one, which had been away

	// SentAt is the time of sending, by the author's clock, as far as it follows from when the
	// message expires. It is zero if that does not tell it.
	SentAt time.Time `json:"sent_at,omitzero"`
}

// messageJSON is the form of Message on the wire: the body is text when it is
// valid UTF-8 and base64 otherwise.
type messageJSON struct {
	Seq     uint64      `json:"seq"`
	At      time.Time   `json:"at"`
	From    string      `json:"from,omitempty"`
	Peer    string      `json:"peer"`
	Size    int         `json:"size"`
	Text    *string     `json:"text,omitempty"`
	Base64  *string     `json:"base64,omitempty"`
	Topic   string      `json:"topic,omitempty"`
	Attempt int         `json:"attempt,omitempty"`
	Lost    uint64      `json:"lost,omitempty"`
	DHT     *DHTMessage `json:"dht,omitempty"`
}

// MarshalJSON writes the body as "text" when it is valid UTF-8, and otherwise as
// "base64". It also writes a long body as base64 if its text would be more than twice as
// long: 8 MiB of control characters from a peer would become 48 MiB for each listener.
func (m Message) MarshalJSON() ([]byte, error) {
	j := messageJSON{Seq: m.Seq, At: m.At, From: m.From, Peer: m.Peer, Size: len(m.Body), Topic: m.Topic, Attempt: m.Attempt, Lost: m.Lost, DHT: m.DHT}
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
	*m = Message{Seq: j.Seq, At: j.At, From: j.From, Peer: j.Peer, Topic: j.Topic, Attempt: j.Attempt, Lost: j.Lost, DHT: j.DHT}
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
