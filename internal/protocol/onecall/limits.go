package onecall

import "time"

// Limits of the wire, in bytes of a frame's payload unless said otherwise
// (spec: comms 9.7, V 16-20).
const (
	// MaxHandshake is the largest frame of a handshake.
	MaxHandshake = 1024

	// MaxChunks and MaxChunked bound a response in chunks: the number of chunks, and
	// the bytes of their joined payload.
	MaxChunks  = 16
	MaxChunked = 4 << 20

	// MaxLate is how many late responses in a row a client skips.
	MaxLate = 20
)

// Times of the protocol (spec: comms 9.3, 9.4; versions 5).
const (
	Grace           = time.Minute      // how long a client waits beyond the deadline
	ServerHandshake = 10 * time.Second // for the client's first frame
	ClientHandshake = 90 * time.Second // for the answer of a server that does one handshake at a time
	DefaultIdle     = 10 * time.Minute // of a session without a served request
	CancelLimit     = 2 * time.Second  // for sending the end of a stream that the client does not read
	StreamRest      = 2 * time.Millisecond
)
