package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Limits bound what a node stores for others (spec: dht 8.2, 8.4, 8.6, 11.1). Bytes are
// counted as an answer needs them: see [Size]. config.StoreForwardLimits, which is converted to
// it, explains each field.
type Limits struct {
	Messages int // in all
	Bytes    int64

	SourceMessages int // brought by one connected peer
	SourceBytes    int64

	DestinationMessages int // for one receiver
	DestinationBytes    int64

	PairMessages int // for one receiver, brought by one connected peer
	PairBytes    int64

	Message int // bytes of the longest body

	Low, High time.Duration // of unknown peers, and of known ones
	Grace     time.Duration // after the first confirmation

	Answer int // messages
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

// LeastBytes is how many bytes a store must have room for, to keep any message that
// Message allows.
func (l Limits) LeastBytes() int64 {
	return int64(min(max(l.Message, 1), MostMessage)) + wire.MaxHeaderBytes + Overhead
}
