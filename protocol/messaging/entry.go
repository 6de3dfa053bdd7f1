package messaging

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Entry is one message on its way to the peer. T is what the caller wants back
// when it is settled.
type Entry[T any] struct {
	ID   uint64 // unique among the entries of one outbox
	Body []byte // not changed after it was queued

	// Resend asks for another try each time the substream is lost between the
	// writing and the proof that the message arrived; the peer may see it more
	// than once. Without it such a loss ends the send InDoubt.
	Resend bool

	Tag T
}

// Settled says how the send of one entry ended. Each entry is settled once.
type Settled[T any] struct {
	ID      uint64
	Tag     T
	Outcome protocol.Outcome
}

// Effects is what to do after an event; the zero Effects asks for nothing.
type Effects[T any] struct {
	// Settled are the senders to tell. The slice is the outbox's again at the
	// next event; clear it when they are told, or an outbox at rest keeps
	// their messages alive.
	Settled []Settled[T]

	// Write are the frames to write, in this order, perhaps with
	// [WriteFrames]; then comes Wrote. The slice is the writer's until then.
	Write []Entry[T]

	Dial bool // get a connection; then comes Dialled or DialCancelled
	Open bool // open a messaging substream on it; then comes Opened, OpenFailed, OpenReset or ConnectionGone
	Drop bool // let the substream go, also one that Opened brought unasked

	// Prove asks for proof that the peer's multiplexer has read everything
	// written so far; then comes Proven with this mark, if the substream lives
	// so long. What proves it must not leave before NotBefore. 0: nothing to
	// prove.
	Prove     uint64
	NotBefore time.Time

	Wake time.Time // call Due at this time; zero: an earlier Wake still stands
}
