package protocol

import (
	"errors"
	"fmt"
)

// PanicPolicy says what a panic does to an actor or a service of the program that
// runs the node. The program chooses it when it registers the actor or the service.
// With every policy the message in hand is dropped, its credit is returned, and no
// peer is blamed.
type PanicPolicy uint8

const (
	// PanicRestart starts a new incarnation of the actor at once. It keeps the
	// mailbox, and everything that the last incarnation owned is closed. Messages of
	// peers cause at most five restarts a minute; after a further panic in that
	// minute the message is dropped and the incarnation goes on, so that no peer can
	// stop the actor. A panic on any other message counts against the restarts that
	// an actor has (five a minute, with growing pauses). When they are used up, the
	// actor stops and is started again 30 s later. A service has nothing to restart:
	// its method ends, as with PanicContain.
	PanicRestart PanicPolicy = iota
	// PanicContain goes on with the same incarnation. It is for actors whose state
	// is valid after every statement. After a panic in Started, where no incarnation
	// is left, it restarts the actor.
	PanicContain
	// PanicStop stops the actor or the service at its first panic, until it is
	// registered again or the node restarts.
	PanicStop
)

// ErrPanicPolicy reports a PanicPolicy that does not exist.
var ErrPanicPolicy = errors.New("protocol: no such panic policy; use PanicRestart, PanicContain or PanicStop")

// Validate returns [ErrPanicPolicy] for a policy that does not exist.
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
