package gamelan

import "github.com/gamelan-p2p/gamelan/protocol"

// OutcomeKind is how one send to one peer ended; Reason is why, unless it is
// [Confirmed].
type (
	OutcomeKind = protocol.OutcomeKind
	Reason      = protocol.Reason
)

// The kinds of outcomes.
const (
	// Confirmed: the peer's multiplexer has read the message. It says nothing
	// about what the peer's application did with it.
	Confirmed = protocol.Confirmed
	// InDoubt: the message was written, but the proof did not come.
	InDoubt = protocol.InDoubt
	// Failed: the message was never written.
	Failed = protocol.Failed
)

// The reasons of an outcome that is [InDoubt] or [Failed].
const (
	ReasonNone     = protocol.ReasonNone
	NoPeer         = protocol.NoPeer         // nobody of that id is known
	Banned         = protocol.Banned         // the peer is banned
	DialFailed     = protocol.DialFailed     // no address of the peer could be reached
	Refused        = protocol.Refused        // the peer does not take this protocol
	TooLong        = protocol.TooLong        // the message is above the limit
	Overloaded     = protocol.Overloaded     // no credit left on our side
	Expired        = protocol.Expired        // time limit or context ended first
	Closed         = protocol.Closed         // the node is closing
	ConnectionLost = protocol.ConnectionLost // before the proof; only with InDoubt
	NotTaken       = protocol.NotTaken       // the peer is connected and ends every substream for messages of ours
)
