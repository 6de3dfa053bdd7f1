package rpc

import "time"

// Limits of the wire, in bytes of a frame's payload unless said otherwise
// (spec: comms 9.7, V 16-20).
const (
	// MaxHandshake is the largest frame of a handshake.
	MaxHandshake = 1024
	// MaxFrame is the largest frame that is read at all.
	MaxFrame = 8_389_632
	// MaxRequest is the largest request that a server serves. One above it is
	// answered with [BadRequest], one above [MaxFrame] ends the session.
	MaxRequest = 6 << 20
	// DefaultSend is the largest frame that is sent unless a service asks for
	// more: peers of every release read it.
	DefaultSend = 3_145_728

	// MaxChunks and MaxChunked bound a response that comes in chunks: their
	// number, and the bytes of payload that they make together.
	MaxChunks  = 16
	MaxChunked = 4 << 20

	// MaxLate is how many late responses in a row a client skips.
	MaxLate = 20

	// MaxDetails is how much of an error's text is kept.
	MaxDetails = 512

	// MaxElements bounds the messages and repeated elements of one payload,
	// MaxDepth how deep they are nested.
	MaxElements = 16_384
	MaxDepth    = 128
)

// Times of the protocol (spec: comms 9.3, 9.4; versions 5).
const (
	MinDeadline     = time.Second      // a request with less is refused
	MaxDeadline     = 10 * time.Minute // a request with more gets this
	DefaultDeadline = 2 * time.Minute  // of a request whose caller sets none
	Grace           = time.Minute      // beyond the deadline, before a client gives up
	ServerHandshake = 10 * time.Second // for the client's first frame
	ClientHandshake = 90 * time.Second // for the answer of a server that does one at a time
	DefaultIdle     = 10 * time.Minute // a session without a served request
	CancelLimit     = 2 * time.Second  // for sending the end of a stream that nobody reads
	StreamRest      = 2 * time.Millisecond
)
