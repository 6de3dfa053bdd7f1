package transport

import (
	"errors"
	"slices"
)

// NoNetwork reports whether err means that this machine has no way to the network of an address: it is off the network, or
// has no address of the family.
func NoNetwork(err error) bool { return isOne(err, noNetwork) }

// NoHost reports whether err means that no machine has an address, as far as is known here, such as one of this machine's own
// network that does not answer.
func NoHost(err error) bool { return isOne(err, noHost) }

func isOne(err error, of []error) bool {
	return slices.ContainsFunc(of, func(e error) bool { return errors.Is(err, e) })
}
