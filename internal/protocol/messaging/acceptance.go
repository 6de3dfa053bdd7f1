package messaging

// Acceptance is what the opener knows about the other end of a fresh substream. A message
// is proven only when the peer's session has the substream: before, the peer may lose it
// (spec: comms 5.8, 147).
type Acceptance uint8

const (
	// Assumed: the peer does not say when its session has the substream. No proof is asked
	// for within Options.FreshProof of the opening.
	Assumed Acceptance = iota
	// Awaited: the peer will say so, and [Outbox.Accepted] reports it. No proof is asked for
	// before.
	Awaited
	// Given: the peer's session has the substream.
	Given
)
