package dialling

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// dialError returns err as it is if it is a *DialError, and otherwise wraps it in one.
func dialError(peer identity.NodeID, err error) error {
	if _, ok := errors.AsType[*actors.DialError](err); ok {
		return err
	}
	return &actors.DialError{Peer: peer, Err: err}
}

// ownAddressesError is an ErrExcluded: there is no address of the peer but such as this node has,
// too.
type ownAddressesError struct{}

func (ownAddressesError) Error() string {
	return "actors: the addresses of the peer are this node's own, as 127.0.0.1 is on every machine; give one at which the other machine is reached"
}

func (ownAddressesError) Is(target error) bool { return target == actors.ErrExcluded }
