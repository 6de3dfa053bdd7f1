package rpc

import (
	"errors"
	"fmt"
)

// Status is the result code of a call. It is also an error that an [Error] matches:
// errors.Is(err, rpc.NotFound).
type Status uint32

// The status codes of spec: comms 9.5.
const (
	OK                Status = 0
	BadRequest        Status = 1 // the request does not decode, is too large, or its deadline is too short
	UnsupportedMethod Status = 2
	NotImplemented    Status = 3
	Timeout           Status = 4
	MalformedResponse Status = 5 // the response is larger than may be sent
	General           Status = 6
	NotFound          Status = 7
	ProtocolError     Status = 8
	Forbidden         Status = 9
	Conflict          Status = 10
)

// Further status codes, for nodes of this library. A client of another make may show their number, or no more than
// that the call has failed.
const (
	Unavailable     Status = 64 // the service cannot answer now; a later call may succeed
	Exhausted       Status = 65 // a limit of the service, or of the caller with it, is reached
	Unauthenticated Status = 66 // the call does not show who makes it
)

var statusNames = [...]string{
	"ok", "bad request", "unsupported method", "not implemented", "timeout", "malformed response",
	"general error", "not found", "protocol error", "forbidden", "conflict",
}

// String returns the status in words, "status 11" for one that does not exist.
func (s Status) String() string {
	switch {
	case int(s) < len(statusNames):
		return statusNames[s]
	case s == Unavailable:
		return "unavailable"
	case s == Exhausted:
		return "exhausted"
	case s == Unauthenticated:
		return "unauthenticated"
	}
	return fmt.Sprintf("status %d", uint32(s))
}

// Error returns String with the package's name before it.
func (s Status) Error() string { return "rpc: " + s.String() }

// Error is a status with a text, as the server reports it to the client. It matches
// its Status.
type Error struct {
	Status  Status
	Details string
}

// Errorf returns an error for a method to answer with: the peer receives the status
// and the text. Any other error is logged here, and the peer receives [General]
// without its text.
func Errorf(s Status, format string, args ...any) error {
	return &Error{s, fmt.Sprintf(format, args...)}
}

// Error returns the status and the text.
func (e *Error) Error() string {
	if e.Details == "" {
		return e.Status.Error()
	}
	return e.Status.Error() + ": " + e.Details
}

// Unwrap returns the status.
func (e *Error) Unwrap() error { return e.Status }

// StatusOf returns the status of the error of a call: what its caller gets, or got. It is OK for nil, and General for an error without a status.
func StatusOf(err error) Status {
	if err == nil {
		return OK
	}
	var e *Error
	var s Status
	switch {
	case errors.As(err, &e) && e.Status != OK:
		return e.Status
	case errors.As(err, &s) && s != OK:
		return s
	}
	return General
}
