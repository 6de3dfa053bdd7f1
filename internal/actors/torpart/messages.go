package torpart

import (
	"errors"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Connected is published when Tor accepts this node on the control port.
type Connected struct{}

// Disconnected is published when the control connection ends, and when the first attempt to
// make one fails. The onion service is away until the node has connected again.
type Disconnected struct {
	Err error
	Do  string // what to do, in a sentence
}

// ServicePublished is published when peers can find the onion service, and this node
// advertises its address: a directory has its descriptor.
type ServicePublished struct{ Addr ma.Multiaddr }

// ServiceUnpublished is published when a service that was published is not any more, or
// cannot be published.
type ServiceUnpublished struct {
	Addr  ma.Multiaddr
	State tor.ServiceState
	Err   error
}

type (
	// AwaitStarted asks the actor to answer when Tor has taken the service, or why it cannot
	// be reached. Reply: Started.
	AwaitStarted struct{}
	// Started replies to AwaitStarted.
	Started struct{ Err error }
)

var errNoListener = errors.New("tor: no SOCKS listener on loopback or a Unix socket or, of a Tor on another machine, at an address of a network")

// StartError reports that Tor cannot be used. Its text is one sentence that says what to do.
type StartError struct {
	Do  string
	Err error
}

// Error returns what to do.
func (e *StartError) Error() string { return e.Do }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }
