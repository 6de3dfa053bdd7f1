package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Limits bound what a node stores for others (spec: dht 8.2, 8.4, 8.6, 11.1). Bytes are
// counted as an answer needs them: see [Size].
type Limits struct {
	// Most messages that are stored for others.
	Messages int
	// Most bytes of messages that are stored for others.
	Bytes int64

	// Most stored messages that one connected peer has brought.
	//
	// The peer need not be their author. The reference has no such limit (Q11).
	SourceMessages int
	// Most bytes of stored messages that one connected peer has brought.
	SourceBytes int64

	// Most messages that are stored for one receiver.
	DestinationMessages int
	// Most bytes of messages that are stored for one receiver.
	DestinationBytes int64

	// Most messages for one receiver that one connected peer has brought. At this limit they evict
	// each other, and nothing that other peers have brought.
	PairMessages int
	// Most bytes of messages for one receiver that one connected peer has brought.
	PairBytes int64

	// Length of the longest message that is stored, encrypted and padded.
	Message int

	// How long messages for unknown peers are stored.
	Low time.Duration
	// How long messages for known peers are stored. Receivers that run Gamelan take none that expired
	// more than 72h ago.
	High time.Duration

	// How long a message is stored, and repeated, after its receiver has read it for the first time.
	//
	// It is counted from the first confirmation, even if Low or High ends before.
	Grace time.Duration

	// Most messages in one answer to a receiver.
	Answer int
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
