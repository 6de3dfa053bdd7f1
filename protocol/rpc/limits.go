package rpc

import "time"

// Limits of the wire, in bytes of a frame's payload unless said otherwise
// (spec: comms 9.7, V 16-20).
const (
	// MaxHandshake is the largest frame of a handshake.
	MaxHandshake = 1024
	// MaxFrame is the largest frame that is read at all.
	MaxFrame = 8_389_632
	// MaxRequest is the largest request that a server serves. The answer to a larger
	// one is [BadRequest]; one above [MaxFrame] ends the session.
	MaxRequest = 6 << 20
	// DefaultSend is the largest frame that a server sends unless its service allows
	// more: peers of every release read it.
	DefaultSend = 3_145_728

	// MaxChunks and MaxChunked bound a response in chunks: the number of chunks, and
	// the bytes of their joined payload.
	MaxChunks  = 16
	MaxChunked = 4 << 20

	// MaxLate is how many late responses in a row a client skips.
	MaxLate = 20

	// MaxDetails is how many bytes of an error's text are kept.
	MaxDetails = 512

	// MaxElements bounds the number of messages and repeated elements of one payload,
	// MaxDepth the depth of their nesting.
	MaxElements = 16_384
	MaxDepth    = 128

	// MaxScalar bounds, in bytes, a number of JSON and a string for a type that decodes
	// itself, as [math/big.Int] does: some take time by the square of the length.
	MaxScalar = 4096
)

// Times of the protocol (spec: comms 9.3, 9.4; versions 5).
const (
	MinDeadline     = time.Second      // a request with less is refused
	MaxDeadline     = 10 * time.Minute // a request with more gets this
	DefaultDeadline = 2 * time.Minute  // of a request whose caller sets none
	Grace           = time.Minute      // how long a client waits beyond the deadline
	ServerHandshake = 10 * time.Second // for the client's first frame
	ClientHandshake = 90 * time.Second // for the answer of a server that does one handshake at a time
	DefaultIdle     = 10 * time.Minute // of a session without a served request
	CancelLimit     = 2 * time.Second  // for sending the end of a stream that the client does not read
	StreamRest      = 2 * time.Millisecond
)
