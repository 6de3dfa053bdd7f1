package saf

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Limits bound what a node stores for others (spec: dht 8.2, 8.4, 8.6, 11.1). Bytes are
// counted as an answer needs them: see [Size].
type Limits struct {
	Messages int   // in all
	Bytes    int64 // in all

	// Of one source: the connected peer that brought the message, which need not be its
	// author. The reference has no such limit (Q11).
	SourceMessages int
	SourceBytes    int64

	// For one destination.
	DestinationMessages int
	DestinationBytes    int64
	// Of one source for one destination.
	PairMessages int
	PairBytes    int64

	Message int // greatest body of a message that is stored, in bytes

	// How long a message is stored: Low if its destination is an unknown peer, High if it
	// is a known one.
	Low, High time.Duration

	// Grace is how long a message is stored, and repeated, after its destination has
	// confirmed it. It is counted from the first confirmation, even if Low or High ends
	// before.
	Grace time.Duration

	Answer int // messages in one answer
}

// Bounds of [Limits].
const (
	// LeastGrace is the least time that a message is stored after its delivery, for a
	// destination that fails before it has processed the message.
	LeastGrace = 5 * time.Minute
	// MostMessages is the greatest number of messages that a node may store. Each needs 210
	// bytes of memory, 230 more if it is the only one for its destination, and up to 900 more if it
	// is the only one of its source.
	MostMessages = 10_000_000
	// MostAnswer is the greatest number of messages in an answer. The reference bans a
	// server that sends more than this.
	MostAnswer = 50
	// MostMessage is the greatest body of a stored message that still fits an answer.
	MostMessage = 4 << 20
	// MostValidity is the greatest Low, High and Grace.
	MostValidity = 366 * 24 * time.Hour
)

// Default returns the limits of a node that sets none. Message, Low, High and Answer
// have the values of the reference.
func Default() Limits {
	return Limits{
		Messages: 100_000, Bytes: 1 << 30,
		SourceMessages: 10_000, SourceBytes: 128 << 20,
		DestinationMessages: 2_000, DestinationBytes: 64 << 20,
		PairMessages: 500, PairBytes: 16 << 20,
		Message: 512 << 10,
		Low:     6 * time.Hour, High: 72 * time.Hour, Grace: LeastGrace,
		Answer: MostAnswer,
	}
}

// LimitError describes an error in one field of [Limits].
type LimitError struct {
	Field string
	Text  string
}

func (e *LimitError) Error() string { return e.Field + " is " + e.Text }

// Faults returns an error for each field that has a value which it may not have. The error
// names the field and the values that it may have.
func (l Limits) Faults() (all []*LimitError) {
	fault := func(name, format string, args ...any) {
		all = append(all, &LimitError{name, fmt.Sprintf(format, args...)})
	}
	number := func(name string, n, most int) {
		if n < 1 || n > most {
			fault(name, "%d; it may be 1 to %d", n, most)
		}
	}
	number("Messages", l.Messages, MostMessages)
	number("SourceMessages", l.SourceMessages, MostMessages)
	number("DestinationMessages", l.DestinationMessages, MostMessages)
	number("PairMessages", l.PairMessages, MostMessages)
	number("Message", l.Message, MostMessage)
	number("Answer", l.Answer, MostAnswer)
	bytes := func(name string, n int64) {
		if least := l.leastBytes(); n < least {
			fault(name, "%d; it must have room for a message of Message bytes: at least %d", n, least)
		}
	}
	bytes("Bytes", l.Bytes)
	bytes("SourceBytes", l.SourceBytes)
	bytes("DestinationBytes", l.DestinationBytes)
	bytes("PairBytes", l.PairBytes)
	duration := func(name string, d, least time.Duration) {
		if d < least || d > MostValidity {
			fault(name, "%v; it may be %v to %v", d, least, MostValidity)
		}
	}
	duration("Low", l.Low, time.Second)
	duration("High", l.High, time.Second)
	duration("Grace", l.Grace, LeastGrace)
	return all
}

// leastBytes is how many bytes a store must have room for, to keep any message that
// Message allows.
func (l Limits) leastBytes() int64 {
	return int64(min(max(l.Message, 1), MostMessage)) + wire.MaxHeaderBytes + Overhead
}
