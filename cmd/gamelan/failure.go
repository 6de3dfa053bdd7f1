package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// failure is an error that a person reads: a message without a full stop, and
// a hint that says what to do next. kind is for programs.
type failure struct {
	code                int
	kind, message, hint string
	err                 error // what it comes from, if anything
}

func (f *failure) Error() string {
	if f.hint == "" {
		return f.message
	}
	return f.message + "; " + f.hint
}

func (f *failure) Unwrap() error { return f.err }

// failed is a failure with exit code 1.
func failed(kind, hint, format string, args ...any) *failure {
	return &failure{code: exitFailed, kind: kind, message: fmt.Sprintf(format, args...), hint: hint}
}

// usage is a failure with exit code 2.
func usage(hint, format string, args ...any) *failure {
	return &failure{code: exitUsage, kind: "usage", message: fmt.Sprintf(format, args...), hint: hint}
}

// errQuiet ends a verb with exit code 1 that has said all there is to say.
var errQuiet = errors.New("gamelan: some of it failed")

// fail prints err, if there is one, and returns its exit code.
func (a *app) fail(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errQuiet):
		return exitFailed
	case errors.Is(err, errWrongSettings):
		return exitUsage
	case errors.Is(err, context.Canceled) && a.ctx.Err() != nil: // the user ended it
		return exitOK
	}
	if p := problems(nil); errors.As(err, &p) {
		return p.print(a)
	}
	f := (*failure)(nil)
	if !errors.As(err, &f) {
		f = &failure{code: exitFailed, kind: "failed", message: oneLine(err.Error())}
	}
	if a.json {
		b, _ := json.Marshal(map[string]any{"error": jsonError{f.kind, f.message, f.hint}})
		fmt.Fprintf(a.err, "%s\n", b)
	} else {
		fmt.Fprintf(a.err, "gamelan: %s\n", f.Error())
	}
	return f.code
}

type jsonError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
