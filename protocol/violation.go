package protocol

import (
	"errors"
	"fmt"
	"time"
)

// ErrViolation reports that the peer broke the rules. Every [Violation] matches it.
var ErrViolation = errors.New("protocol: violation")

// How long peers are banned, spec: comms 7.4 and 8.3.
const (
	BanShort  = 2 * time.Minute
	BanMedium = 10 * time.Minute
	BanLong   = 2 * time.Hour
)

// Severity says how bad a violation is.
type Severity uint8

const (
	Low Severity = iota
	Medium
	High
)

// String returns "low", "medium" or "high".
func (s Severity) String() string {
	switch s {
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	}
	return fmt.Sprintf("severity %d", uint8(s))
}

// Violation is an offence of a peer. The code that finds one reports it and ends the
// connection; only the connectivity actor decides about the ban.
type Violation struct {
	Stage    string // "identity", "negotiation", "messaging", …
	Severity Severity
	Ban      time.Duration // length of the ban; 0 is none
	Err      error         // the cause
}

// Violated returns a violation with that ban. Its severity is [High] for [BanLong],
// [Medium] for [BanMedium], and [Low] for anything shorter.
func Violated(stage string, ban time.Duration, err error) *Violation {
	severity := Low
	switch {
	case ban >= BanLong:
		severity = High
	case ban >= BanMedium:
		severity = Medium
	}
	return &Violation{Stage: stage, Severity: severity, Ban: ban, Err: err}
}

// Error names the stage and the cause.
func (v *Violation) Error() string {
	return fmt.Sprintf("%v at %s: %v", ErrViolation, v.Stage, v.Err)
}

// Unwrap returns [ErrViolation] and the cause.
func (v *Violation) Unwrap() []error { return []error{ErrViolation, v.Err} }
