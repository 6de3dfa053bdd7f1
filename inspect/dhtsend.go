package inspect

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// DHTSender sends messages over the DHT.
type DHTSender interface {
	// Prepare checks a request and returns the function that sends each of its
	// messages. The handler answers with an [*Error] as it is; the text of any other
	// error must be a sentence.
	Prepare(ctx context.Context, r DHTRequest) (DHTSend, error)
}

// DHTSend gives one message to the node and returns when the node has accepted it; it
// waits for credit until ctx ends. An error says why the message was not accepted. wait
// waits for the end of the message and returns its report. When wait's own ctx ends
// earlier, it returns the report so far, and the message goes on.
type DHTSend func(ctx context.Context, body []byte) (wait func(context.Context) models.Report, err error)

// DHTRequest says how the messages of one request are sent.
type DHTRequest struct {
	To       string // as a person writes it: a public key, a known node id, or KEY::ADDRESS; empty for no particular node
	Strategy string // "direct", "random:5", …
	Type     *int32 // of the messages; nil: the sender chooses
	Encrypt  bool
	Sign     bool
	// Store sends the message to its receiver if it is connected, else to nodes that
	// may store it until the receiver is back. The message is encrypted, and there is
	// no Strategy.
	Store bool
	// Tag is what all copies of the messages carry, so that they can be traced at each node; 0: each message has one of its own, chosen
	// at random.
	Tag uint64
	// Timeout is how long the node tries to send a message, from when it has accepted the
	// message; the search for the receiver counts. 0, and more than the sender allows, is the
	// sender's limit.
	Timeout time.Duration
}

// sendDHT reads messages from the body and streams their reports while it reads.
func (m *mutations) sendDHT(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	req := DHTRequest{
		To: q.text("to"), Strategy: q.text("strategy"), Encrypt: q.flag("encrypt", false), Sign: q.flag("sign", false), Store: q.flag("store", false), Type: q.messageType(),
		Timeout: q.duration("timeout"), Tag: q.tag(),
	}
	kind := q.bodyKind(r)
	switch {
	case q.err != nil:
		return nil, q.err
	case m.DHT == nil:
		return nil, notFound("this node does not send messages over the DHT from here", "send them from the program that runs it")
	}
	m.tell("admin.dht.messages")
	send, err := m.DHT.Prepare(r.Context(), req)
	if e := (*Error)(nil); errors.As(err, &e) {
		return nil, e
	} else if err != nil {
		return nil, &Error{Code: CodeBadQuery, Message: err.Error(), Hint: HintDHTParameters}
	}
	return transmit(w, r, kind, newBatch(
		send,
		func(n uint64, x models.Report, took time.Duration) models.SentReport {
			return models.SentReport{N: n, Report: x, MS: milliseconds(took)}
		},
		func(reason, detail string) models.Report {
			now := time.Now()
			return models.Report{Begin: now, End: now, Reason: reason, Detail: detail, Summary: models.OutcomeFailed + ": " + reason + ": " + detail, Copies: []models.Copy{}}
		},
	))
}

// ParseTag reads the tag of a message: up to 16 hexadecimal digits, not all zero, with or without 0x.
func ParseTag(text string) (tag uint64, ok bool) {
	tag, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 64)
	return tag, err == nil && tag != 0
}

// tag reads the tag of a message. It returns 0 if there is none.
func (q *query) tag() uint64 {
	return parsed(q, "tag", 0, "give up to 16 hexadecimal digits, not all zero", ParseTag)
}

// messageType reads the type of a message. It returns nil if there is none.
func (q *query) messageType() *int32 {
	return parsed(q, "type", nil, "give a whole number of 32 bits", func(v string) (*int32, bool) {
		n, err := strconv.ParseInt(v, 10, 32)
		return new(int32(n)), err == nil
	})
}
