package overlay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// ErrIDMismatch reports a contact whose id does not follow from its public key, or whose
// key is not that of the peer who speaks.
var ErrIDMismatch = errors.New("kad: id does not belong to the public key")

// ErrContact reports a contact of the overlay Native that says where it is without a valid
// claim, or in too few or too many addresses.
var ErrContact = errors.New("kad: contact without a valid claim")

// Contact is a node of the DHT and where it can be reached (spec: kad B4.2).
type Contact struct {
	ID ID
	// Addresses are at most [MaxAddresses], in the order in which they are tried.
	Addresses []Address

	// PublicKey is the node's. Stamp is the date of its claim in Unix seconds: of two claims
	// the later one counts. Both are zero in the overlay Seed.
	PublicKey identity.PublicKey
	Stamp     int64
	// Claim is what the node signed about its addresses. It is needed to tell others of
	// the contact. It is nil in the overlay Seed.
	Claim *identity.Claim
}

// SeedContact returns a contact of the overlay Seed.
func SeedContact(id ID, at Address) Contact { return Contact{ID: id, Addresses: []Address{at}} }

// ReachedAt returns the contact with an address first, if that is one of its addresses.
func (c Contact) ReachedAt(at Address) Contact {
	if i := slices.Index(c.Addresses, at); i > 0 {
		c.Addresses = slices.Concat(c.Addresses[i:i+1], c.Addresses[:i], c.Addresses[i+1:])
	}
	return c
}

// NativeContact returns the contact that a claim describes. The caller has verified the
// claim ([identity.Claim.Verify]) or does so before it asks the contact or passes it on.
// Addresses to which nothing can be sent, and those above [MaxAddressLen], are left out. It
// fails with [ErrContact] if the claim has no address or more than [MaxAddresses], if one
// of them is none that a claim may hold (spec: comms 2.6), or if none remains.
func NativeContact(claim *identity.Claim) (Contact, error) {
	if n := len(claim.Addresses); n == 0 || n > MaxAddresses {
		return Contact{}, fmt.Errorf("%w: %d addresses, want 1 to %d", ErrContact, n, MaxAddresses)
	}
	c := Contact{ID: NodeID(claim.Key), PublicKey: claim.Key, Stamp: claim.Signature.UpdatedAt, Claim: claim}
	for _, b := range claim.Addresses {
		if err := address.CheckBytes(b); err != nil {
			return Contact{}, fmt.Errorf("%w: %w", ErrContact, err)
		}
		if a, err := AddressFromBytes(b); err == nil {
			c.Addresses = append(c.Addresses, a)
		}
	}
	if len(c.Addresses) == 0 {
		return Contact{}, fmt.Errorf("%w: no address that a node can have", ErrContact)
	}
	return c, nil
}

// Verify returns nil for a contact whose claim its key has signed, over the addresses as
// they came, at the time wall by the system's clock. It fails with [ErrIDMismatch], or
// with [ErrContact] and the cause. A contact of the overlay Seed has nothing to verify, and
// passes.
func (c Contact) Verify(wall time.Time) error {
	if c.Claim == nil && c.PublicKey == (identity.PublicKey{}) {
		return nil
	}
	if err := c.CheckKey(); err != nil {
		return err
	}
	if c.Claim == nil || c.Claim.Key != c.PublicKey {
		return fmt.Errorf("%w: the claim is of another key", ErrContact)
	}
	if err := c.Claim.Verify(wall); err != nil {
		return fmt.Errorf("%w: %w", ErrContact, err)
	}
	return nil
}

// CheckKey returns [ErrIDMismatch] for a contact whose id does not follow from its key. A
// contact without key, of the overlay Seed, passes.
func (c Contact) CheckKey() error {
	if c.PublicKey != (identity.PublicKey{}) && c.ID != NodeID(c.PublicKey) {
		return ErrIDMismatch
	}
	return nil
}

// Groups returns the groups of the contact's public addresses ([Address.Group]), each once.
func (c Contact) Groups() (groups []string) {
next:
	for _, a := range c.Addresses {
		g := a.Group()
		if g == "" {
			continue
		}
		for _, have := range groups {
			if have == g {
				continue next
			}
		}
		groups = append(groups, g)
	}
	return groups
}
