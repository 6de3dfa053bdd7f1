package identity

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// Secret is a node's secret key together with its public key. Printing, logging
// or marshalling a Secret gives "***"; only [Secret.Bytes] returns the key. Make one with [NewSecret],
// [SecretFromBytes] or [ParseSecret], and pass it on as a pointer.
type Secret struct {
	// The key is behind a function, where reflection does not reach: printing a
	// struct that holds a Secret in an unexported field bypasses Format.
	key func() *secretKey
}

type secretKey struct {
	scalar ristretto.Scalar
	public PublicKey
}

const hidden = "***"

// NewSecret returns a uniformly random key. It reads 64 bytes from random.
func NewSecret(random io.Reader) (*Secret, error) {
	s, err := randomScalar(random)
	if err != nil {
		return nil, err
	}
	return newSecret(s), nil
}

// SecretFromBytes returns the key whose 32 little-endian bytes are b. It fails
// with [ErrBadKey] unless b is a canonical scalar other than zero.
func SecretFromBytes(b []byte) (*Secret, error) {
	var s ristretto.Scalar
	if err := s.SetCanonical(b); err != nil {
		return nil, fmt.Errorf("%w: secret key: %w", ErrBadKey, err)
	}
	if s.IsZero() {
		return nil, fmt.Errorf("%w: a secret key cannot be zero", ErrBadKey)
	}
	return newSecret(s), nil
}

// ParseSecret returns the key written as 64 hexadecimal digits of either
// case. It fails with [ErrBadKey]; the error does not repeat the text.
func ParseSecret(s string) (*Secret, error) {
	if len(s) != 2*KeyLen {
		return nil, fmt.Errorf("%w: %d characters, want the %d hexadecimal digits of a secret key", ErrBadKey, len(s), 2*KeyLen)
	}
	b, err := hex.DecodeString(s)
	if err != nil { // err would name a digit of the secret
		return nil, fmt.Errorf("%w: a secret key is %d hexadecimal digits", ErrBadKey, 2*KeyLen)
	}
	return SecretFromBytes(b)
}

func newSecret(s ristretto.Scalar) *Secret {
	key := &secretKey{scalar: s, public: ristretto.PublicKey(&s)}
	return &Secret{func() *secretKey { return key }}
}

// randomScalar returns a uniform scalar other than zero, or [ErrRandom].
func randomScalar(random io.Reader) (s ristretto.Scalar, err error) {
	if s, err = ristretto.RandomScalar(random); err != nil {
		return s, fmt.Errorf("%w: %w", ErrRandom, err)
	}
	return s, nil
}

// PublicKey returns the public key.
func (s *Secret) PublicKey() PublicKey { return s.key().public }

// NodeID returns the id of the node that holds the key.
func (s *Secret) NodeID() NodeID { return s.key().public.NodeID() }

// Bytes returns the secret key itself: 32 little-endian bytes. Keep them out
// of logs and messages.
func (s *Secret) Bytes() []byte {
	b := s.key().scalar.Bytes()
	return b[:]
}

// DH returns the encoding of the point that the holders of s and of remote's
// secret key share, before any hashing (spec: comms 4.2). It fails with
// [ErrBadKey] when remote is not a canonical point or is the identity
// element. It runs in constant time.
func (s *Secret) DH(remote []byte) ([32]byte, error) {
	shared, err := ristretto.DH(&s.key().scalar, remote)
	if err != nil {
		return [32]byte{}, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return shared, nil
}

// Format implements [fmt.Formatter]: every verb prints "***".
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// LogValue implements [slog.LogValuer]: "***".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns "***", also for JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
