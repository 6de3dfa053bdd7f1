package identity

import (
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// KeyLen is the length of a public or secret key in bytes.
const KeyLen = 32

// PublicKey is the canonical encoding of a ristretto255 point that is not
// the identity element (spec: comms 1.1). Get one from [ParsePublicKey],
// [PublicKeyFromBytes] or a [Secret]; the zero value means "no key".
type PublicKey [KeyLen]byte

// PublicKeyFromBytes returns the key that the 32 bytes b encode. It fails
// with [ErrBadKey] if they encode none.
func PublicKeyFromBytes(b []byte) (PublicKey, error) {
	if err := ristretto.CheckKey(b); err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return PublicKey(b), nil
}

// ParsePublicKey returns the key written as 64 hexadecimal digits of either
// case. It fails with [ErrBadKey].
func ParsePublicKey(s string) (PublicKey, error) {
	if len(s) != 2*KeyLen {
		return PublicKey{}, fmt.Errorf("%w: %d characters, want the %d hexadecimal digits of a public key", ErrBadKey, len(s), 2*KeyLen)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: a public key is %d hexadecimal digits", ErrBadKey, 2*KeyLen)
	}
	return PublicKeyFromBytes(b)
}

// NodeID returns the id of the node that holds the key.
func (k PublicKey) NodeID() NodeID { return nodeIDOf(k) }

// String returns 64 lower-case hexadecimal digits.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// Short returns the first 16 hexadecimal digits, for people.
func (k PublicKey) Short() string { return hex.EncodeToString(k[:8]) }

// IsZero reports whether k is "no key".
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// LogValue implements [slog.LogValuer].
func (k PublicKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns the same text as [PublicKey.String], and an empty text
// for the zero value.
func (k PublicKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return []byte{}, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText is the reverse of [PublicKey.MarshalText].
func (k *PublicKey) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = PublicKey{}
		return nil
	}
	parsed, err := ParsePublicKey(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}
