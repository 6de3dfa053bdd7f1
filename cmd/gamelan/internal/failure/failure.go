// Package failure holds the error that the user of the command reads.
package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnreachable = 3
)

// Error is an error that a person reads: a message without a full stop, and
// a hint that says what to do next. Kind is for programs.
type Error struct {
	Code                int // the exit code
	Kind, Message, Hint string

	err error // what it comes from, if anything
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

func (e *Error) Unwrap() error { return e.err }

// Because sets the error that this one comes from, and returns this one.
func (e *Error) Because(err error) *Error {
	e.err = err
	return e
}

// New makes a failure with exit code 1.
func New(kind, hint, format string, args ...any) *Error {
	return &Error{Code: ExitFailed, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Usage makes a failure with exit code 2.
func Usage(hint, format string, args ...any) *Error {
	return &Error{Code: ExitUsage, Kind: "usage", Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Unreachable makes a failure with exit code 3.
func Unreachable(kind, hint, format string, args ...any) *Error {
	return &Error{Code: ExitUnreachable, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Start makes a sentence of why a node did not start.
func Start(err error) *Error {
	return New("start", "", "the node cannot start: %s", Text(err)).Because(err)
}

// Is tells whether err is a failure of this kind.
func Is(err error, kind string) bool {
	f, ok := errors.AsType[*Error](err)
	return ok && f.Kind == kind
}

// Text is an error's text on one line, without the name of the package that
// made it.
func Text(err error) string {
	text := OneLine(err.Error())
	for _, p := range []string{"gamelan: ", "actors: ", "peerstore: ", "transport: ", "kv: "} {
		text = strings.TrimPrefix(text, p)
	}
	return text
}

// OneLine puts s on one line.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Reason is what the system says, without the path.
func Reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
