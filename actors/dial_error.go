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
	Err      error // of the last attempt, or of the last at an address that was given for this dial, or why there was none
}

// Error returns the last failure and how many addresses were tried. Addresses that were
// given for this dial come first, and apart from those that the node knew.
func (e *DialError) Error() string {
	if len(e.Attempts) == 0 {
		return fmt.Sprintf("dial peer %s: %v", e.Peer, e.Err)
	}
	var given, others []DialAttempt
	for _, a := range e.Attempts {
		if a.Given {
			given = append(given, a)
		} else {
			others = append(others, a)
		}
	}
	if len(given) == 0 {
		return fmt.Sprintf("dial peer %s: %s", e.Peer, failures("addresses", others))
	}
	text := fmt.Sprintf("dial peer %s: %s", e.Peer, failures("given addresses", given))
	switch n := len(others); n {
	case 0:
		return text
	case 1:
		return fmt.Sprintf("%s; 1 known address failed as well: %s", text, failures("", others))
	default:
		return fmt.Sprintf("%s; %d known addresses failed as well, the last one: %s", text, n, failures("", others[n-1:]))
	}
}

// failures says how attempts have failed: the last one, and how many there were.
func failures(of string, all []DialAttempt) string {
	a := all[len(all)-1]
	last := fmt.Sprintf("at %s: %v", a.Addr, a.Err)
	if d, ok := errors.AsType[*transport.DialError](a.Err); ok {
		last = d.Error() // this text names the address
	}
	if n := len(all); n > 1 {
		return fmt.Sprintf("all %d %s failed, the last one: %s", n, of, last)
	}
	return last
}

// Unwrap returns Err.
func (e *DialError) Unwrap() error { return e.Err }
