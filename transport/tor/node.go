package tor

import (
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// State is what is known of Tor and of the onion service. Times are of the node's clock.
type State struct {
	Status
	Onion      ma.Multiaddr
	Service    ServiceStatus
	Advertised time.Time // since when peers are told of Onion; zero: not yet
	Proxy      ma.Multiaddr
	ProxyErr   error // why Tor's SOCKS listener cannot be used
}

// Trouble returns in one sentence what is wrong and what to do; "" when nothing is.
func (s State) Trouble() string {
	if text := s.Status.Trouble(); text != "" {
		return text
	}
	if s.ProxyErr != nil {
		return "Tor runs and has no SOCKS listener that this node can use; set \"SocksPort 9050\" in torrc, or give this node the address of a listener as proxy.address."
	}
	return ""
}

// Reachable reports whether peers can find the onion service.
func (s State) Reachable() bool {
	return s.Phase == Ready && s.Circuits && !s.Offline && s.Service.State == Published
}

// ControlConnected is published when Tor accepts this node on the control port.
type ControlConnected struct{}

// ControlDisconnected is published when the control connection ends, and when the first attempt to
// make one fails. The onion service is away until the node has connected again.
type ControlDisconnected struct {
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
	State ServiceState
	Err   error
}

// StartError reports that Tor cannot be used. Its text is one sentence that says what to do.
type StartError struct {
	Do  string
	Err error
}

// Error returns what to do.
func (e *StartError) Error() string { return e.Do }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }
