package actors

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport"
)

// DialError reports that a peer could not be reached, with each attempt.
type DialError struct {
	Peer     identity.NodeID
	Attempts []DialAttempt
	Err      error // of the last attempt, or why there was none
}

// Error returns the last failure and how many addresses were tried.
func (e *DialError) Error() string {
	if len(e.Attempts) == 0 {
		return fmt.Sprintf("dial peer %s: %v", e.Peer, e.Err)
	}
	last := fmt.Sprintf("at %s: %v", e.Attempts[len(e.Attempts)-1].Addr, e.Err)
	if d, ok := errors.AsType[*transport.DialError](e.Err); ok {
		last = d.Error() // this text names the address
	}
	if n := len(e.Attempts); n > 1 {
		return fmt.Sprintf("dial peer %s: all %d addresses failed, the last one: %s", e.Peer, n, last)
	}
	return fmt.Sprintf("dial peer %s: %s", e.Peer, last)
}

// Unwrap returns the last failure.
func (e *DialError) Unwrap() error { return e.Err }

// dialError returns err as it is if it is a *DialError, and otherwise wraps it in one.
func dialError(peer identity.NodeID, err error) error {
	if _, ok := errors.AsType[*DialError](err); ok {
		return err
	}
	return &DialError{Peer: peer, Err: err}
}
