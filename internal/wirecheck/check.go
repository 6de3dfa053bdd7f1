package wirecheck

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Check is one experiment. Its name is a group and a word, as "noise.key".
type Check struct {
	Name  string
	Rules string // items of docs/conformance, as "comms 22" or "comms 14; V 4"
	Title string // what the node must do

	needs stage
	slow  bool // waits for a time limit of the node
	large bool // sends megabytes
	pair  bool // needs two connections at once, and therefore runs when no other check does
	run   func(p *probe) error
}

// stage is the part of the set-up that must work before a check makes sense.
type stage int

const (
	needsNothing    stage = iota
	needsAnswer           // message 1 of the handshake is answered
	needsHandshake        // the handshake ends well
	needsKey              // with the right key
	needsIdentities       // identities are exchanged
	needsSession          // the multiplexer answers
)

// Status is the result of a check in a word.
type Status string

// The statuses of a check.
const (
	Pass          Status = "pass"
	Fail          Status = "fail"
	NotApplicable Status = "n/a"
)

// Result is the result of a check. Its texts may contain bytes from the node: escape them
// before showing them.
type Result struct {
	Name   string `json:"check"`
	Rules  string `json:"rules"`
	Title  string `json:"title"`
	Status Status `json:"result"`

	// Of a failure. Offset is that of the first wrong byte in Where, nil when
	// no single byte is wrong.
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Where    string `json:"where,omitempty"`
	Offset   *int   `json:"offset,omitempty"`

	Note string `json:"note,omitempty"` // a remark, or why it is not applicable
	MS   int64  `json:"ms"`             // how long it took
}

// mismatch is a failure: the node does not follow the rule.
type mismatch struct {
	want, got string
	where     string // the bytes in which offset counts; empty: there is no offset
	offset    int
}

func (m *mismatch) Error() string {
	s := fmt.Sprintf("expected %s, got %s", m.want, m.got)
	if m.where != "" {
		s += fmt.Sprintf(" (byte %d of %s)", m.offset, m.where)
	}
	return s
}

// differs returns a failure without an offset.
func differs(want, format string, args ...any) error {
	return &mismatch{want: want, got: fmt.Sprintf(format, args...)}
}

// differsAt returns a failure at one byte.
func differsAt(where string, offset int, want, format string, args ...any) error {
	return &mismatch{want, fmt.Sprintf(format, args...), where, offset}
}

// compare returns a failure at the first byte in which got differs from want; different
// lengths differ at the end of the shorter one.
func compare(where string, want, got []byte) error {
	if bytes.Equal(want, got) {
		return nil
	}
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	return &mismatch{around(want, at), around(got, at), where, at}
}

// after adds to a failure what was done before it.
func after(what string, err error) error {
	var m *mismatch
	var s *setupError
	switch {
	case errors.As(err, &m):
		return &mismatch{m.want + " after " + what, m.got, m.where, m.offset}
	case errors.As(err, &s):
		return differs("a connection that goes on after "+what, "%v", s)
	}
	return err
}

// shown is how many bytes around a difference are shown, and shownBefore how many of them may
// be before it.
const (
	shown       = 40
	shownBefore = 16
)

// around returns b in hexadecimal, or the bytes around the index at.
func around(b []byte, at int) string {
	if len(b) == 0 {
		return "nothing"
	}
	first := 0
	if len(b) > shown {
		first = max(0, at-shownBefore)
	}
	last := min(len(b), first+shown)
	s := hex.EncodeToString(b[first:last])
	if first > 0 {
		s = "…" + s
	}
	if last < len(b) {
		s += "…"
	}
	return fmt.Sprintf("%s (%s)", s, count(len(b), "byte"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// inapplicable ends a check that does not apply to this node.
type inapplicable string

func (i inapplicable) Error() string { return string(i) }

// setupError reports a connection that failed before the stage that the check needs.
type setupError struct {
	at  string // "dial", "noise", …
	err error
}

func (e *setupError) Error() string {
	return "no connection, " + e.at + ": " + strings.TrimPrefix(e.err.Error(), e.at+": ")
}

func (e *setupError) Unwrap() error { return e.err }
