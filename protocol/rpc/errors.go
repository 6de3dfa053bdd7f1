package rpc

import "errors"

// ErrProtocol reports a peer that breaks the protocol.
var ErrProtocol = errors.New("rpc: protocol error")

// ErrOneAnswer reports a call for a stream of items of a method that gives one answer. A method
// whose one answer is empty looks like a stream without items.
var ErrOneAnswer = errors.New("rpc: the method gives one answer, not a stream of items; call it with rpc.Call, or rpc.CallBytes")

// ErrSessionLost reports that a session ended before the answer of its call: the
// server, its node or the connection has ended. The server may or may not have run the
// call.
var ErrSessionLost = errors.New("rpc: session lost before the answer")

// Reason says why a server rejects a session.
type Reason uint32

// The reasons of spec: comms 9.3. In 1.0.0-rc.5, 3 meant that the protocol is
// not supported; it is treated the same (V 18).
const (
	ReasonUnknown       Reason = 0
	UnsupportedVersion  Reason = 1
	NoServerSessions    Reason = 2
	NoClientSessions    Reason = 3
	ProtocolUnsupported Reason = 4
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case UnsupportedVersion:
		return "no version in common"
	case NoServerSessions:
		return "no session left"
	case NoClientSessions:
		return "refused"
	case ProtocolUnsupported:
		return "no such service"
	}
	return "no reason given"
}

// RejectedError is a server's refusal of a session. It is never an offence: a busy
// server has no session left for some clients.
type RejectedError struct{ Reason Reason }

// Error returns the reason.
func (e *RejectedError) Error() string {
	s := "rpc: session rejected: " + e.Reason.String()
	if e.Busy() {
		s += "; try again later"
	}
	return s
}

// Busy reports whether the server had no session left: a later attempt may succeed.
func (e *RejectedError) Busy() bool { return e.Reason == NoServerSessions }
