package protocol

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// PrivateNet is the network of every private network: one that only nodes with its secret can
// join. Its value is the first byte of their connections, and no other network has it (V43).
const PrivateNet Network = 0xB7

// SecretSize is the length of the secret of a private network, in bytes.
const SecretSize = 32

var (
	// ErrBadSecret reports a secret of a private network that has not 32 bytes, or 32 of the same.
	ErrBadSecret = errors.New("protocol: the secret of a private network has to be 32 random bytes")
	// ErrNoSecret reports a dialer that has not the secret of this node's private network. Every
	// [NoSecretError] matches it.
	ErrNoSecret = errors.New("protocol: the dialer has not the secret of the network")
	// ErrSecretMayDiffer reports a node of a private network that closed the connection before its
	// first answer. It says nothing to a dialer without the secret, and so the dialer cannot know more.
	ErrSecretMayDiffer = errors.New("protocol: its secret differs, or it is busy, refuses this node, or is of another network")
	// ErrBadNetworkName reports a name that a private network cannot have.
	ErrBadNetworkName = errors.New("protocol: bad name of a private network")
)

// NetworkSecret is the secret of a private network. Printing, logging or marshalling it gives "***"; only
// [NetworkSecret.Bytes] returns it. Make one with [NewNetworkSecret] or [ParseNetworkSecret], and pass it on
// as a pointer; nil is none. It never changes.
type NetworkSecret struct {
	// The bytes are behind a function, where reflection does not reach: printing a struct that holds a
	// secret in an unexported field bypasses Format.
	key func() *[SecretSize]byte
}

func newNetworkSecret(b [SecretSize]byte) *NetworkSecret {
	return &NetworkSecret{func() *[SecretSize]byte { return &b }}
}

// NewNetworkSecret returns a new secret. random is crypto/rand.Reader but in tests.
func NewNetworkSecret(random io.Reader) (*NetworkSecret, error) {
	var b [SecretSize]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("protocol: no randomness for a secret: %w", err)
	}
	return newNetworkSecret(b), nil
}

// ParseNetworkSecret returns the secret of 64 hexadecimal digits. It fails with [ErrBadSecret].
func ParseNetworkSecret(text string) (*NetworkSecret, error) {
	b, err := hex.DecodeString(text)
	if err != nil { // err would name a digit of the secret
		return nil, fmt.Errorf("%w: it is not made of hexadecimal digits", ErrBadSecret)
	}
	if len(b) != SecretSize {
		return nil, fmt.Errorf("%w: it has %d", ErrBadSecret, len(b))
	}
	s := newNetworkSecret([SecretSize]byte(b))
	return s, s.Validate()
}

// Validate fails with [ErrBadSecret]. No secret would be no protection at all: Noise takes an empty
// one for none.
func (s *NetworkSecret) Validate() error {
	b := s.Bytes()
	if len(b) != SecretSize {
		return fmt.Errorf("%w: it has %d", ErrBadSecret, len(b))
	}
	for _, x := range b {
		if x != b[0] {
			return nil
		}
	}
	return fmt.Errorf("%w: all of it are the same", ErrBadSecret)
}

// Equal compares two secrets in constant time. Nil is equal to nil alone.
func (s *NetworkSecret) Equal(other *NetworkSecret) bool {
	return subtle.ConstantTimeCompare(s.Bytes(), other.Bytes()) == 1
}

// Bytes returns a copy of the secret, nil for none. Whoever sees the bytes can join the network: keep them
// out of logs and messages. [ParseNetworkSecret] reads their hexadecimal digits.
func (s *NetworkSecret) Bytes() []byte {
	if s == nil || s.key == nil {
		return nil
	}
	b := *s.key()
	return b[:]
}

// Digits returns eight hexadecimal digits by which people compare two secrets, empty for none. They do
// not tell the secret.
func (s *NetworkSecret) Digits() string {
	b := s.Bytes()
	if b == nil {
		return ""
	}
	sum := sha256.Sum256(append([]byte("secret of a private network\x00"), b...))
	return hex.EncodeToString(sum[:4])
}

const maskedSecret = "***"

// Format writes stars, whatever the verb.
func (s NetworkSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, maskedSecret) }

// LogValue returns stars.
func (s NetworkSecret) LogValue() slog.Value { return slog.StringValue(maskedSecret) }

// MarshalText returns stars, so that nothing that is written as JSON has a secret.
func (s NetworkSecret) MarshalText() ([]byte, error) { return []byte(maskedSecret), nil }

// MaxNetworkName is the length of the longest name of a private network, in bytes.
const MaxNetworkName = 32

// CheckNetworkName fails with [ErrBadNetworkName] unless the name can be that of a private network:
// 1 to 32 small letters, digits and dashes, the first a letter, and not the name of another network.
func CheckNetworkName(name string) error {
	refuse := func(why string) error {
		return fmt.Errorf("%w %q: %s; use 1 to %d small letters, digits and dashes, the first a letter", ErrBadNetworkName, name, why, MaxNetworkName)
	}
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' }
	switch {
	case name == "":
		return refuse("it is empty")
	case len(name) > MaxNetworkName:
		return refuse("it is too long")
	case !letter(name[0]):
		return refuse("it does not begin with a letter")
	}
	for i := range len(name) {
		if c := name[i]; !letter(c) && (c < '0' || c > '9') && c != '-' {
			return refuse("it has another character")
		}
	}
	if _, err := ParseNetwork(name); err == nil || strings.EqualFold(name, PrivateNet.String()) {
		return refuse("another network has it")
	}
	return nil
}

// Private returns the profile of the private network with that name: the default profile with Noise
// XXpsk0, a first byte of its own, and addresses that are not external. Nodes dial with secret and
// let in who has secret or accept; a nil accept is none. The name is for people, and is not compared.
func Private(name string, secret, accept *NetworkSecret) Profile {
	p := Tari(PrivateNet)
	p.Name = "private"
	p.Pattern = XXpsk0
	p.TestAddresses = true
	p.Private, p.Secret, p.Accept = name, secret, accept
	return p
}

// NetworkName returns the name of the profile's network: that of the private one, if it is one.
func (p *Profile) NetworkName() string {
	if p.Private != "" {
		return p.Private
	}
	return p.Network.String()
}

// Secrets returns the secrets that a listener takes, in the order in which it tries them.
func (p *Profile) Secrets() []*NetworkSecret {
	switch {
	case p.Pattern != XXpsk0:
		return nil
	case p.Accept == nil:
		return []*NetworkSecret{p.Secret}
	}
	return []*NetworkSecret{p.Secret, p.Accept}
}

// validatePrivate checks the name and the secrets.
func (p *Profile) validatePrivate() error {
	if p.Pattern != XXpsk0 {
		if p.Private != "" || p.Secret != nil || p.Accept != nil {
			return fmt.Errorf("it has a secret, which Noise %v does not use; use %v", p.Pattern, XXpsk0)
		}
		return nil
	}
	return CheckPrivate(p.Private, p.Secret, p.Accept)
}

// CheckPrivate returns an error unless a private network can have that name and these secrets; a nil
// accept is none.
func CheckPrivate(name string, secret, accept *NetworkSecret) error {
	if err := CheckNetworkName(name); err != nil {
		return err
	}
	if err := secret.Validate(); err != nil {
		return err
	}
	if accept == nil {
		return nil
	}
	if err := accept.Validate(); err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	if accept.Equal(secret) {
		return errors.New("accept is the same as secret; leave it out")
	}
	return nil
}

// NoSecretError is [ErrNoSecret] with the name of this node's network.
type NoSecretError struct{ Network string }

// Error names the network.
func (e *NoSecretError) Error() string { return "the dialer has not the secret of " + e.Network }

// Is makes every NoSecretError match [ErrNoSecret].
func (e *NoSecretError) Is(target error) bool { return target == ErrNoSecret }
