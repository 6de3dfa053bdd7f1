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
	// Confirmed: the peer's multiplexer has read the message. It does not mean that
	// the peer's application has handled it.
	Confirmed = protocol.Confirmed
	// InDoubt: the message was written, but the proof that the peer read it did not
	// come.
	InDoubt = protocol.InDoubt
	// Failed: the message was never written.
	Failed = protocol.Failed
)

// The reasons for an outcome [InDoubt] or [Failed].
const (
	ReasonNone     = protocol.ReasonNone
	NoPeer         = protocol.NoPeer         // no peer with that id is known
	Banned         = protocol.Banned         // the peer is banned
	DialFailed     = protocol.DialFailed     // no address of the peer could be reached
	Refused        = protocol.Refused        // the peer does not take this protocol, or ends each connection while it is set up
	TooLong        = protocol.TooLong        // the message is above the limit
	Overloaded     = protocol.Overloaded     // no credit left at this node
	Expired        = protocol.Expired        // the time limit or the context ended first
	Closed         = protocol.Closed         // the node is closing
	ConnectionLost = protocol.ConnectionLost // the connection ended before the proof; only with InDoubt
	NotTaken       = protocol.NotTaken       // the peer is connected and ends every substream on which this node sends messages
)
