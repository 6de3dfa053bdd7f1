package dht

import (
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// MaxStored is the greatest length in bytes of a body, encrypted and padded, that the
// known releases of Tari store (spec: dht 8.2). A node may be set to store only shorter
// ones.
const MaxStored = 512 << 10

// check returns why nodes would not store the message.
func (s StoreFor) check(m *Message) error {
	switch {
	case s.To.IsZero():
		return fmt.Errorf("%w: StoreFor.To is no key; set it to the receiver's", ErrNotSendable)
	case !m.Encrypt:
		return fmt.Errorf("%w: nodes store only encrypted messages; set Encrypt", ErrNotSendable)
	case !m.Destination.IsZero() && m.Destination != s.To:
		return fmt.Errorf("%w: Destination is another key than StoreFor.To; leave it out", ErrNotSendable)
	}
	return nil
}

// toStore reports whether the message goes to these peers so that they store it.
func (s *send) toStore(peers []identity.NodeID) bool {
	to, ok := s.m.To.(StoreFor)
	return ok && !slices.Equal(peers, []identity.NodeID{to.To.NodeID()})
}

func tooLongToStore(n int) error {
	return fmt.Errorf("%w: the receiver is not connected, and nodes store messages of at most %d bytes, encrypted and padded; this one has %d; send it in parts", ErrNotSendable, MaxStored, n)
}
