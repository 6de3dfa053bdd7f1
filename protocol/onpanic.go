package protocol

import (
	"errors"
	"fmt"
)

// PanicPolicy says what a panic does to an actor or a service of the program
// that runs the node. It is chosen when that is registered. Whatever it is, the
// message in hand is dropped, its credit goes back, and no peer is charged.
type PanicPolicy uint8

const (
	// PanicRestart starts a new incarnation of the actor at once, whose mailbox
	// is that of the last one; what the last one owned is closed. Messages of
	// peers do that five times a minute, and a further one in that minute is
	// dropped while the incarnation goes on, so that nobody can switch the actor
	// off. A panic on anything else counts against the restarts that an actor has
	// (five a minute, with growing pauses); when they are used up it stops, and
	// is tried again 30 s later. A service has nothing to restart: its method
	// ends, as with PanicContain.
	PanicRestart PanicPolicy = iota
	// PanicContain goes on with the same incarnation, for actors whose state is
	// right after every line. Only where there is none to go on with, in Started
	// for instance, it restarts.
	PanicContain
	// PanicStop ends the actor, or the service, for good with its first panic:
	// until it is registered again, or the node starts again.
	PanicStop
)

// ErrPanicPolicy reports a PanicPolicy that does not exist.
var ErrPanicPolicy = errors.New("protocol: no such panic policy; use PanicRestart, PanicContain or PanicStop")

// Validate returns [ErrPanicPolicy] for one that does not exist.
func (p PanicPolicy) Validate() error {
	if p > PanicStop {
		return fmt.Errorf("%w: got %d", ErrPanicPolicy, uint8(p))
	}
	return nil
}

// String returns restart, contain or stop.
func (p PanicPolicy) String() string {
	switch p {
	case PanicRestart:
		return "restart"
	case PanicContain:
		return "contain"
	case PanicStop:
		return "stop"
	}
	return fmt.Sprintf("panic policy %d", uint8(p))
}
