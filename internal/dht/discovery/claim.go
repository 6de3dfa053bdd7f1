package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// MaxClaims is the greatest number of claims about one peer (spec: dht 10.5).
const MaxClaims = 5

// Fault is what is wrong with the claims about a peer.
type Fault uint8

const (
	// Unreadable: a claim holds bytes that are no address or no claim, perhaps of a
	// version that this node does not know.
	Unreadable Fault = iota + 1
	// BadCount: no claim, more than [MaxClaims], or a claim with too many addresses.
	BadCount
	// BadAddress: an address has a structure that no claim may have.
	BadAddress
	// BadSignature: the peer has not signed the claim.
	BadSignature
	// BadDate: the claim is dated before 1970 or too far ahead.
	BadDate
	// NoUsableAddress: the claims are in order, but no address of them is worth
	// keeping. That is no offence (spec: V4, V5).
	NoUsableAddress
)

var faults = [...]string{
	Unreadable: "unreadable", BadCount: "wrong number of claims or addresses", BadAddress: "malformed address",
	BadSignature: "bad signature", BadDate: "bad date", NoUsableAddress: "no usable address",
}

// String returns the fault in words, for instance "malformed address".
func (f Fault) String() string {
	if f > 0 && int(f) < len(faults) {
		return faults[f]
	}
	return fmt.Sprintf("fault %d", uint8(f))
}

// Offence reports whether no honest node sends such claims.
func (f Fault) Offence() bool { return f != Unreadable && f != NoUsableAddress }

// ClaimError reports claims that are not stored.
type ClaimError struct {
	Fault Fault
	Err   error // the cause
}

// Error names the fault and the cause.
func (e *ClaimError) Error() string { return fmt.Sprintf("dht: %v: %v", e.Fault, e.Err) }

// Unwrap returns the cause.
func (e *ClaimError) Unwrap() error { return e.Err }

// Rules say which claims about other peers a node accepts.
type Rules struct {
	Limits        protocol.Limits
	TestAddresses bool // addresses that are not external are usable
}

// Check checks all claims that somebody passes on about the holder of key, and returns
// the newest of those with a usable address. It is returned as it was signed, so that
// it can be passed on; the peer store leaves out its other addresses. The error is a
// [*ClaimError]: one bad claim spoils all of them (spec: dht 10.5, V4, V5, V6).
//
// The claim has addresses of its own, so that keeping it does not keep the message that
// the given claims were read from.
func (r Rules) Check(key identity.PublicKey, claims []identity.Claim, wall time.Time) (newest identity.Claim, err error) {
	if n := len(claims); n == 0 || n > MaxClaims {
		return newest, &ClaimError{BadCount, fmt.Errorf("%d claims, want 1 to %d", n, MaxClaims)}
	}
	found := false
	for i, c := range claims {
		if err := r.check(key, c, wall); err != nil {
			err.Err = fmt.Errorf("claim %d of %d: %w", i+1, len(claims), err.Err)
			return identity.Claim{}, err
		}
		usable := len(address.Select(c.Addresses, r.TestAddresses)) > 0
		if usable && (!found || c.Newer(newest)) {
			newest, found = c, true
		}
	}
	if !found {
		return newest, &ClaimError{NoUsableAddress, fmt.Errorf("none of %d", count(claims))}
	}
	newest.Addresses = slices.Clone(newest.Addresses)
	for i, a := range newest.Addresses {
		newest.Addresses[i] = bytes.Clone(a)
	}
	return newest, nil
}

func count(claims []identity.Claim) (n int) {
	for _, c := range claims {
		n += len(c.Addresses)
	}
	return n
}

func (r Rules) check(key identity.PublicKey, c identity.Claim, wall time.Time) *ClaimError {
	if n := len(c.Addresses); n > r.Limits.Addresses {
		return &ClaimError{BadCount, fmt.Errorf("%d addresses, at most %d", n, r.Limits.Addresses)}
	}
	for i, a := range c.Addresses {
		if err := address.CheckBytes(a); errors.Is(err, address.ErrUnparsable) {
			return &ClaimError{Unreadable, fmt.Errorf("address %d: %w", i+1, err)}
		} else if err != nil {
			return &ClaimError{BadAddress, fmt.Errorf("address %d: %w", i+1, err)}
		}
	}
	if c.Key != key {
		return &ClaimError{BadSignature, errors.New("the claim is another peer's")}
	}
	err := c.VerifyWithin(wall, r.Limits.ClaimSkew)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, identity.ErrClaimBeforeEpoch), errors.Is(err, identity.ErrClaimFromFuture):
		return &ClaimError{BadDate, err}
	}
	return &ClaimError{BadSignature, err}
}
