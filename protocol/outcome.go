package protocol

import "fmt"

// OutcomeKind is how one send to one peer ended.
type OutcomeKind uint8

const (
	// Confirmed: the peer's multiplexer has read the message. It does not mean
	// that the peer's application has handled the message, nor that it is on a disk
	// there, unless it was sent with gamelan.Handled or gamelan.Kept: a node with an inbox that is killed loses the messages of its last
	// second, and those that it had not written yet.
	Confirmed OutcomeKind = iota + 1
	// InDoubt: the message was written, but the connection, the time limit
	// or the caller's context ended before the proof.
	InDoubt
	// Failed: the message was never written. Or the peer said that it has not handled it, and will not.
	Failed
)

// String returns "confirmed", "in doubt" or "failed".
func (k OutcomeKind) String() string {
	switch k {
	case Confirmed:
		return "confirmed"
	case InDoubt:
		return "in doubt"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("outcome %d", uint8(k))
}

// MarshalText returns the same text as [OutcomeKind.String].
func (k OutcomeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Reason is why a send failed or is in doubt.
type Reason uint8

const (
	ReasonNone Reason = iota
	NoPeer            // no peer with that id is known
	Banned            // the peer is banned
	DialFailed        // no address of the peer could be reached
	// Refused: the peer does not take this protocol. Or it ends connections while they
	// are set up: it is of another network, is busy, or has banned this node. Or it had the message, and dropped it.
	Refused
	TooLong    // the message is above the limit
	Overloaded // no credit left on our side
	Expired    // time limit or context ended first
	Closed     // the node is closing
	// ConnectionLost: the connection or the substream ended before the
	// proof. Only with [InDoubt].
	ConnectionLost
	// NotTaken: the peer is connected, but it ends every substream for messages
	// that this side opens, or does not answer on it.
	NotTaken
	NotAdmitted // this node has no connections with the peer, which is not listed
)

// String returns the reason in words, "" for none.
func (r Reason) String() string {
	switch r {
	case ReasonNone:
		return ""
	case NoPeer:
		return "no peer"
	case Banned:
		return "banned"
	case DialFailed:
		return "dial failed"
	case Refused:
		return "refused"
	case TooLong:
		return "too long"
	case Overloaded:
		return "overloaded"
	case Expired:
		return "expired"
	case Closed:
		return "closed"
	case ConnectionLost:
		return "connection lost"
	case NotTaken:
		return "the peer takes none of our messages"
	case NotAdmitted:
		return "not admitted"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// MarshalText returns the same text as [Reason.String].
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Outcome is the end of one send to one peer. Each send has exactly one. The zero
// value means that the send has not ended.
type Outcome struct {
	Kind   OutcomeKind
	Reason Reason
	Err    error // detail; may be nil
}

// AsError returns nil if the message is confirmed, and otherwise an [*OutcomeError] with the
// outcome, whose text is that of [Outcome.String]. It is for callers for whom in doubt is an
// error, too.
func (o Outcome) AsError() error {
	if o.Kind == Confirmed {
		return nil
	}
	return &OutcomeError{o}
}

// OutcomeError is a send that is not confirmed, as an error. It wraps Outcome.Err.
type OutcomeError struct{ Outcome Outcome }

func (e *OutcomeError) Error() string { return e.Outcome.String() }

// Unwrap returns the detail of the outcome; it may be nil.
func (e *OutcomeError) Unwrap() error { return e.Outcome.Err }

// String returns for instance "confirmed", "in doubt: connection lost" or
// "failed: dial failed: connection refused".
func (o Outcome) String() string {
	if o.Kind == 0 {
		return "open"
	}
	s := o.Kind.String()
	if o.Reason != ReasonNone {
		s += ": " + o.Reason.String()
	}
	if o.Err != nil {
		s += ": " + o.Err.Error()
	}
	return s
}
