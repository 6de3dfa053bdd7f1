package identity

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// ClaimSkew is how far ahead of our clock a claim may be dated. There is no
// lower limit: an old claim stays valid until a newer one replaces it.
const ClaimSkew = 24 * time.Hour

// The hash of the challenge, spec: comms 7.6.
const (
	claimDomain  = "com.tari.comms.core.peer_manager"
	claimVersion = 1
	claimLabel   = "identity_signature"
)

// Signature is a node's Schnorr signature over its own claim.
type Signature struct {
	Version   uint8
	Nonce     [32]byte // R, an encoded point
	S         [32]byte // s, a canonical scalar, little-endian
	UpdatedAt int64    // Unix seconds; of two claims the newer one counts
}

// Claim is a node's signed statement about itself: its features and the
// addresses where it can be reached.
type Claim struct {
	Key       PublicKey
	Features  Features
	Addresses [][]byte // binary multiaddrs, exactly as received, in order
	Signature Signature
}

// SignClaim returns a claim of s's node, dated now and signed. It reads 64
// bytes from random for the nonce; they must be unpredictable and never
// repeat. The claim keeps the given addresses; the caller must not change them
// any more. SignClaim fails with [ErrRandom], or with [ErrClaimBeforeEpoch]
// when now is before 1970.
func SignClaim(s *Secret, f Features, addresses [][]byte, now time.Time, random io.Reader) (Claim, error) {
	if now.Unix() < 0 {
		return Claim{}, fmt.Errorf("%w: the clock says %s, set it", ErrClaimBeforeEpoch, now.UTC().Format(time.DateTime))
	}
	nonce, err := randomScalar(random)
	if err != nil {
		return Claim{}, fmt.Errorf("sign claim: %w", err)
	}
	defer nonce.Wipe()
	c := Claim{Key: s.PublicKey(), Features: f, Addresses: addresses}
	c.Signature.Nonce = ristretto.PublicKey(&nonce)
	c.Signature.UpdatedAt = now.Unix()
	challenge := c.challenge()
	signed := ristretto.Sign(&s.key().scalar, &nonce, &challenge)
	c.Signature.S = signed.Bytes()
	return c, nil
}

// Covers reports whether the claim has exactly these features and exactly this
// set of addresses, in any order.
func (c Claim) Covers(f Features, addresses [][]byte) bool {
	if c.Features != f || len(c.Addresses) != len(addresses) {
		return false
	}
	sorted := func(list [][]byte) [][]byte {
		list = slices.Clone(list)
		slices.SortFunc(list, bytes.Compare)
		return list
	}
	return slices.EqualFunc(sorted(c.Addresses), sorted(addresses), bytes.Equal)
}

// Resign returns the claim that s's node should show now. While features and
// addresses are those of the last claim, it returns the last claim; otherwise it
// returns a new one of [SignClaim]. The zero Claim as last means that there was
// none.
//
// Peers prefer the newer of two claims. So Resign keeps a signature for as long
// as it can, and dates a new claim at least one second after the last, even when
// two changes fall into one second or the clock was set back a little. It
// ignores a last claim that is dated so far ahead that peers would refuse it: the
// clock was wrong then.
func Resign(s *Secret, last Claim, f Features, addresses [][]byte, now time.Time, random io.Reader) (Claim, error) {
	if next := time.Unix(last.Signature.UpdatedAt+1, 0); last.Key == s.PublicKey() && next.Before(now.Add(ClaimSkew/2)) {
		if last.Covers(f, addresses) {
			return last, nil
		}
		if next.After(now) {
			now = next
		}
	}
	return SignClaim(s, f, addresses, now, random)
}

// challenge is the hash of everything a claim signs.
func (c *Claim) challenge() ristretto.Scalar {
	var updated [8]byte
	var features [4]byte
	binary.LittleEndian.PutUint64(updated[:], uint64(c.Signature.UpdatedAt))
	binary.LittleEndian.PutUint32(features[:], uint32(c.Features))
	items := append([][]byte{c.Key[:], c.Signature.Nonce[:], {c.Signature.Version}, updated[:], features[:]}, c.Addresses...)
	return hashScalar(claimDomain, claimVersion, claimLabel, items)
}

// Check decodes the parts of the signature without verifying it. It returns
// [ErrUndecodable] unless the nonce is a point and S a canonical scalar.
func (s *Signature) Check() error {
	var scalar ristretto.Scalar
	if err := scalar.SetCanonical(s.S[:]); err != nil {
		return undecodable(err)
	}
	var nonce ristretto.Point
	if err := nonce.SetBytes(s.Nonce[:]); err != nil {
		return undecodable(err)
	}
	return nil
}

func undecodable(err error) error {
	return fmt.Errorf("%w: %w: %w", ErrBadSignature, ErrUndecodable, err)
}

// Verify returns nil when the claim can be accepted at the time now. It returns
// [ErrClaimBeforeEpoch] for a claim dated before 1970, [ErrClaimFromFuture] for
// one dated more than [ClaimSkew] ahead, and [ErrBadSignature] for one that its
// key has not signed over exactly these features and address bytes. The
// signature covers its version, too; any version is accepted.
func (c Claim) Verify(now time.Time) error { return c.VerifyWithin(now, ClaimSkew) }

// VerifyWithin is [Claim.Verify] with skew in place of [ClaimSkew].
func (c Claim) VerifyWithin(now time.Time, skew time.Duration) error {
	updated := c.Signature.UpdatedAt
	if updated < 0 {
		return ErrClaimBeforeEpoch
	}
	if limit := now.Add(skew).Unix(); updated > limit {
		return fmt.Errorf("%w: %d s beyond the %s allowed", ErrClaimFromFuture, updated-limit, skew)
	}
	var s ristretto.Scalar
	if err := s.SetCanonical(c.Signature.S[:]); err != nil {
		return undecodable(err)
	}
	challenge := c.challenge()
	if !ristretto.Verify((*[32]byte)(&c.Key), &c.Signature.Nonce, &challenge, &s) {
		return ErrBadSignature
	}
	return nil
}

// Newer reports whether c replaces other: it is dated strictly later. Both
// must have been verified, and be of the same key.
func (c Claim) Newer(other Claim) bool {
	return c.Signature.UpdatedAt > other.Signature.UpdatedAt
}
