package torpart

import (
	"errors"
)

type (
	// AwaitStarted asks the actor to answer when Tor has taken the service, or why it cannot
	// be reached. Reply: Started.
	AwaitStarted struct{}
	// Started replies to AwaitStarted.
	Started struct{ Err error }
)

var errNoListener = errors.New("tor: no SOCKS listener on loopback or a Unix socket or, of a Tor on another machine, at an address of a network")
