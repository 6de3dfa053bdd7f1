package messaging

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Entry is one message on its way to the peer. T is the type of a value that the
// caller gets back when the message is settled.
type Entry[T any] struct {
	ID   uint64 // unique among the entries of one outbox
	Body []byte // must not change after Queued

	// Resend writes the message again each time the substream is lost between the
	// write and the proof that the message arrived; the peer may receive it more
	// than once. Without Resend such a loss ends the send InDoubt.
	Resend bool

	// Urgent says that a caller waits for the outcome, so that its proof is asked for at once.
	Urgent bool

	// Withdrawn says that the send has ended already, while the writer had the message that
	// it has pulled; for WrotePulled.
	Withdrawn bool

	Tag T
}

// Settled is the end of the send of one entry. Each entry is settled once.
type Settled[T any] struct {
	ID      uint64
	Tag     T
	Outcome protocol.Outcome
}

// Effects are the actions that the caller has to carry out after an event. The zero
// Effects asks for nothing.
type Effects[T any] struct {
	// Settled are the sends that have ended; tell their senders. The slice belongs
	// to the outbox again at the next event. Clear it after use, or an idle outbox
	// keeps the messages in memory.
	Settled []Settled[T]

	// Write are the frames to write, in this order, for instance with
	// [WriteFrames]; then call Wrote. The slice belongs to the writer until then.
	Write []Entry[T]

	Dial bool // get a connection; then call Dialled or DialCancelled
	Open bool // open a messaging substream on it; then call Opened (and Accepted), OpenFailed, OpenReset or ConnectionGone
	Drop bool // close the substream, also one that Opened reported without an Open

	// Prove asks for proof that the peer's multiplexer has read everything
	// written so far; then call Proven with this mark, unless the substream ends
	// before. The request for the proof must not be sent before NotBefore. 0: nothing
	// to prove.
	Prove     uint64
	NotBefore time.Time

	// Ping asks for a ping whose answer proves nothing: it finds out that the connection does
	// not carry what was written, before there can be a proof.
	Ping bool

	Wake time.Time // call Due at this time; zero: an earlier Wake still stands
}
