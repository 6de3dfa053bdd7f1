package record

import (
	"crypto/ed25519"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Limits of a record of the overlay Native (spec: kad B8).
const (
	MaxValue     = 8192 // bytes
	MaxSalt      = 64   // bytes
	MaxEncoded   = 9 << 10
	SignatureLen = ed25519.SignatureSize

	// MaxLife is how far ahead a mutable record may expire.
	MaxLife = 7 * 24 * time.Hour
	// ClockSkew is how much later still it may expire, because the clock of its publisher
	// may be ahead of this node's.
	ClockSkew = 10 * time.Minute
)

// Check returns nil for a record that an overlay may hold at the time wall, by the
// system's (spec: kad B8). It fails with the errors of this package or with a
// [*overlay.ValueTooLargeError]. In the overlay Seed every opaque record passes.
//
// The record's expiry is checked by this node's clock: an expiry that has come is
// [ErrExpired], however little, so that no expired record is ever used.
func Check(o overlay.Overlay, r *overlay.Record, wall time.Time) error {
	if err := CheckForm(o, r, wall); err != nil {
		return err
	}
	switch r.Kind {
	case overlay.Immutable:
		if r.Key != overlay.ImmutableKey(r.Value) {
			return ErrMismatch
		}
	case overlay.Mutable:
		digest := r.Digest()
		if !ed25519.Verify(r.PublicKey, digest[:], r.Signature) {
			return ErrBadSignature
		}
	}
	return nil
}

// CheckForm is [Check] without what takes long: the hash of an immutable value and the
// signature of a mutable record.
func CheckForm(o overlay.Overlay, r *overlay.Record, wall time.Time) error {
	switch {
	case (o == overlay.Seed) != (r.Kind == overlay.Opaque):
		return ErrKind
	case r.Kind == overlay.Opaque:
		return opaqueOnly(r)
	case len(r.Value) > MaxValue:
		return &overlay.ValueTooLargeError{Size: len(r.Value), Max: MaxValue, Gateway: "a record"}
	case len(r.Salt) > MaxSalt:
		return &overlay.ValueTooLargeError{Size: len(r.Salt), Max: MaxSalt, Gateway: "a salt"}
	case r.Kind == overlay.Immutable:
		return opaqueOnly(r)
	case r.Kind != overlay.Mutable:
		return ErrKind
	}
	return checkMutable(r, wall)
}

// opaqueOnly checks a record that has a value and nothing else.
func opaqueOnly(r *overlay.Record) error {
	if r.Alg != 0 || len(r.PublicKey)+len(r.Salt)+len(r.Signature) > 0 || r.Seq != 0 || r.Expires != 0 || r.Flags != 0 {
		return ErrFields
	}
	return nil
}

func checkMutable(r *overlay.Record, wall time.Time) error {
	switch {
	case r.Alg != overlay.AlgEd25519:
		return ErrAlgorithm
	case r.Flags&^overlay.FlagTombstone != 0, len(r.Signature) != SignatureLen, !canonicalKey(r.PublicKey):
		return ErrBadSignature
	case r.Tombstone() && len(r.Value) > 0:
		return ErrFields
	case r.Key != overlay.MutableKey(r.Alg, r.PublicKey, r.Salt):
		return ErrMismatch
	}
	return checkExpiry(r.Expires, wall)
}

// checkExpiry compares seconds: the last one of a life counts as over.
func checkExpiry(expires uint64, wall time.Time) error {
	seconds := uint64(max(0, wall.Unix()))
	switch {
	case expires <= seconds:
		return ErrExpired
	case expires-seconds > uint64((MaxLife+ClockSkew)/time.Second):
		return ErrTooLong
	}
	return nil
}

// Expired reports whether the life of a mutable record has ended at the time wall. Other
// records have no end of their own.
func Expired(r *overlay.Record, wall time.Time) bool {
	return r.Kind == overlay.Mutable && checkExpiry(r.Expires, wall) == ErrExpired
}

// TooLong reports whether a mutable record expires so late, at the time wall, that no node
// takes it ([ErrTooLong]): the clock by which it was signed was ahead.
func TooLong(r *overlay.Record, wall time.Time) bool {
	return r.Kind == overlay.Mutable && checkExpiry(r.Expires, wall) == ErrTooLong
}

// canonicalKey reports whether b is the one way to write an Ed25519 public key: a number
// below the prime 2^255 − 19, and a sign only where the point has two. Package ed25519
// verifies with other ways as well, so that one signature would have several keys.
func canonicalKey(b []byte) bool {
	if len(b) != ed25519.PublicKeySize {
		return false
	}
	y := [ed25519.PublicKeySize]byte(b)
	signed := y[31]&0x80 != 0
	y[31] &= 0x7f
	return below(y, prime) && !(signed && (y == one || y == minusOne))
}

// The prime, 1, and −1, little-endian. The points of the last two have x = 0.
var (
	prime    = littleEndian(0xed, 0xff, 0x7f)
	minusOne = littleEndian(0xec, 0xff, 0x7f)
	one      = littleEndian(1, 0, 0)
)

func littleEndian(first, middle, last byte) (b [ed25519.PublicKeySize]byte) {
	for i := range b {
		b[i] = middle
	}
	b[0], b[31] = first, last
	return b
}

// below compares little-endian numbers.
func below(a, b [ed25519.PublicKeySize]byte) bool {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// Life returns how long a mutable record is still valid at the time wall; it is not
// positive once it has expired. Other records have no end of their own: Life returns 0.
func Life(r *overlay.Record, wall time.Time) time.Duration {
	if r.Kind != overlay.Mutable || r.Expires > 1<<62 {
		return 0
	}
	return time.Unix(int64(r.Expires), 0).Sub(wall)
}
