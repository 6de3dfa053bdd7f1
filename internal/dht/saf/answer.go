package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Overhead is the most that an answer adds to an encoded envelope, in bytes.
const Overhead = 64

// AnswerOverhead is the most that an answer needs besides its messages, in bytes.
const AnswerOverhead = 64

// Size returns what a stored message counts, in bytes: what it takes in an answer. The
// argument is the length of its encoded envelope.
func Size(envelope int) int { return envelope + Overhead }

// Behind is how far the time of storing of a message lies at least before the clock of the
// node that sends it. Some releases ban a node for a time in their future (Q25).
const Behind = 2 * time.Second

// Stored is a stored message as it is read from the disk: its encoded envelope.
type Stored struct {
	StoredAt int64 // Unix seconds
	Envelope []byte
}

// AppendAnswer appends the answer to a request: the encoded response, with the messages in
// the given order, which is that of [Index.Answer]. It is no longer than their sizes and
// [AnswerOverhead]. Wall is the system's clock. Envelopes that do not decode are left
// out, and damaged has their places (spec: dht 8.4).
func AppendAnswer(dst []byte, q wire.StoredRequest, wall time.Time, messages []Stored) (answer []byte, damaged []int) {
	r := wire.StoredResponse{RequestID: q.RequestID, Messages: make([]wire.StoredMessage, 0, len(messages))}
	latest := wall.Add(-Behind).Unix()
	for i, m := range messages {
		e, err := wire.DecodeEnvelope(m.Envelope)
		if err != nil {
			damaged = append(damaged, i)
			continue
		}
		r.Messages = append(r.Messages, wire.NewStoredMessage(e, uint64(max(0, min(m.StoredAt, latest)))))
	}
	return r.Append(dst), damaged
}
