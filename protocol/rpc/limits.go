package rpc

import "time"

// Limits, in bytes of a frame's payload unless said otherwise.
const (
	// MaxFrame is the largest frame that is read at all.
	MaxFrame = 8_389_632
	// MaxRequest is the largest request that a server serves. The answer to a larger
	// one is [BadRequest]; one above [MaxFrame] ends the session.
	MaxRequest = 6 << 20
	// DefaultSend is the largest frame that a server sends unless its service allows
	// more: peers of every release read it.
	DefaultSend = 3_145_728

	// MaxElements bounds the number of messages and repeated elements of one payload,
	// MaxDepth the depth of their nesting.
	MaxElements = 16_384
	MaxDepth    = 128

	// MaxScalar bounds, in bytes, a number of JSON and a string for a type that decodes
	// itself, as [math/big.Int] does: some take time by the square of the length.
	MaxScalar = 4096

	// MaxDetails is how many bytes of an error's text are kept.
	MaxDetails = 512
)

// Times of a call.
const (
	MinDeadline     = time.Second      // peers of other makes refuse a request with less
	MaxDeadline     = 10 * time.Minute // a request with more gets this
	DefaultDeadline = 2 * time.Minute  // of a request whose caller sets none
)
