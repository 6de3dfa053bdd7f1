package transport

import (
	"errors"
	"net/netip"
)

// ErrProhibited reports a dial that a firewall has refused, with a message that a program that does not listen never causes.
var ErrProhibited = errors.New("a firewall refuses it")

// Refusal is a dial that a machine on the way, or the one at its end, has refused with an ICMP message. It matches [ErrProhibited] if the
// message is one of a firewall.
type Refusal struct {
	By         netip.Addr // the machine that says so
	Prohibited bool       // a firewall refuses it; otherwise that machine knows no way to the address
}

// Error says who refuses, and why.
func (r *Refusal) Error() string {
	if r.Prohibited {
		return "a firewall at " + r.By.String() + " refuses it"
	}
	return r.By.String() + " knows no way to it"
}

// Is makes errors.Is find [ErrProhibited].
func (r *Refusal) Is(target error) bool { return r.Prohibited && target == ErrProhibited }
