// Package failure defines the errors for the user of the command.
package failure

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnreachable = 3
	ExitNoValue     = 4 // from here on of the key-value DHT
	ExitNoPeers     = 5
	ExitSuperseded  = 6
	ExitInDoubt     = 7 // of send: messages are in doubt, and none has failed
)

// exits are the exit codes of kinds that have their own.
var exits = map[string]int{inspect.CodeNoValue: ExitNoValue, inspect.CodeNoPeers: ExitNoPeers, inspect.CodeSuperseded: ExitSuperseded}

// Error is an error for a person: a message without a full stop, and a hint with advice.
// Kind is for programs.
type Error struct {
	Code                int // the exit code
	Kind, Message, Hint string

	err error // the cause, may be nil
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

func (e *Error) Unwrap() error { return e.err }

// Because sets the cause of e and returns e.
func (e *Error) Because(err error) *Error {
	e.err = err
	return e
}

// New returns a failure with the exit code of its kind, mostly 1.
func New(kind, hint, format string, args ...any) *Error {
	return &Error{Code: cmp.Or(exits[kind], ExitFailed), Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Usage returns a failure with exit code 2.
func Usage(hint, format string, args ...any) *Error {
	return &Error{Code: ExitUsage, Kind: "usage", Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Unreachable returns a failure with exit code 3.
func Unreachable(kind, hint, format string, args ...any) *Error {
	return &Error{Code: ExitUnreachable, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Start returns the failure of a node that did not start.
func Start(err error) *Error {
	if t, ok := errors.AsType[*tor.StartError](err); ok { // one sentence: what is wrong; what to do
		what, hint, _ := strings.Cut(strings.TrimSuffix(t.Do, "."), "; ")
		return New("start", hint, "the node cannot start: %s", what).Because(err)
	}
	return New("start", "", "the node cannot start: %s", Text(err)).Because(err)
}

// As returns err as an Error, and an Error of the kind "failed" for any other error.
func As(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return New("failed", "", "%s", words.OneLine(err.Error()))
}

// Text returns an error's text on one line, without the name of its package.
func Text(err error) string { return words.WithoutPackage(err.Error()) }

// Reason returns the system's text of an error, without the path or the address.
func Reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	if s, ok := errors.AsType[*os.SyscallError](err); ok {
		return s.Err.Error()
	}
	text := err.Error()
	if _, cause, ok := strings.Cut(text, ": dial tcp: "); ok { // a name that is not resolved
		return cause
	}
	return text
}
