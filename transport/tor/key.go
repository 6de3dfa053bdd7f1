package tor

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// ServiceID names an onion service: the 56 characters in front of ".onion", in lower case. It
// contains the service's public key.
type ServiceID string

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// serviceID returns the name of the service with a public key.
func serviceID(public [32]byte) ServiceID {
	a, err := address.Onion3(public, 1)
	if err != nil { // 35 bytes and a port always are an address
		panic(err)
	}
	return ServiceID(strings.ToLower(base32Text.EncodeToString(a[0].RawValue()[:35])))
}

// ErrServiceID reports a text that is not the name of an onion service.
var ErrServiceID = errors.New("tor: not an onion service")

// ParseServiceID returns the name in a text such as "vww6…pyyd.onion", with or without
// ".onion", in any case. It checks version and checksum. A dot at the end is refused: Tor
// would ask a name server for such a name.
func ParseServiceID(text string) (ServiceID, error) {
	id := strings.ToLower(text)
	if strings.HasSuffix(id, ".") {
		return "", fmt.Errorf("%w: take away the dot at the end", ErrServiceID)
	}
	id = strings.TrimSuffix(id, ".onion")
	switch {
	case len(id) == 16:
		return "", fmt.Errorf("%w: version 2, which has ended; the name of version 3 has 56 characters", ErrServiceID)
	case len(id) != 56:
		return "", fmt.Errorf("%w: %d characters, want 56", ErrServiceID, len(id))
	}
	if _, err := ServiceID(id).Multiaddr(1); err != nil {
		return "", err
	}
	return ServiceID(id), nil
}

// Multiaddr returns the address of a port of the service. It fails when the name is invalid.
func (id ServiceID) Multiaddr(port uint16) (ma.Multiaddr, error) {
	a, err := ma.NewMultiaddr(fmt.Sprintf("/onion3/%s:%d", id, port))
	if err != nil {
		return nil, fmt.Errorf("%w: it is not base32, or the port is 0", ErrServiceID)
	}
	if err := address.Check(a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServiceID, err)
	}
	return a, nil
}

// public returns the public key in a valid name.
func (id ServiceID) public() (key [32]byte) {
	b, _ := base32Text.DecodeString(strings.ToUpper(string(id)))
	copy(key[:], b)
	return key
}

const keyLen = 64

// Key is the secret key of an onion service, in the expanded form that Tor uses: a scalar and
// 32 bytes for signing. It has no String.
type Key struct {
	expanded [keyLen]byte
	id       ServiceID
}

// NewKey makes a key from 32 random bytes of r.
func NewKey(r io.Reader) (Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(r, seed); err != nil {
		return Key{}, err
	}
	k := Key{expanded: sha512.Sum512(seed)}
	k.expanded[0] &= 248
	k.expanded[31] = k.expanded[31]&63 | 64
	k.id = serviceID([32]byte(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)))
	return k, nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.id == "" }

// ID returns the name of the service with this key.
func (k Key) ID() ServiceID { return k.id }

// Format never shows the key.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "key of "+string(k.id)) }

// text returns the key as ADD_ONION takes it.
func (k Key) text() string {
	return "ED25519-V3:" + base64.StdEncoding.EncodeToString(k.expanded[:])
}

// ErrKey reports a key that is none, or is not that of its service.
var ErrKey = errors.New("tor: not the key of this onion service")

// expandedKey returns the key that an identity file holds, after a check that it belongs to
// the service.
func expandedKey(b []byte, id ServiceID) (k Key, err error) {
	if len(b) != keyLen {
		return k, fmt.Errorf("%w: %d bytes, want %d", ErrKey, len(b), keyLen)
	}
	copy(k.expanded[:], b)
	if b[0]&7 != 0 || b[31]&0xc0 != 64 {
		return Key{}, fmt.Errorf("%w: its scalar has not the form that Tor takes", ErrKey)
	}
	want, err := montgomery(id.public())
	if err != nil {
		return Key{}, err
	}
	scalar, err := ecdh.X25519().NewPrivateKey(b[:32])
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if subtle.ConstantTimeCompare(scalar.PublicKey().Bytes(), want) != 1 {
		return Key{}, fmt.Errorf("%w: its public key is another", ErrKey)
	}
	k.id = id
	return k, nil
}

// montgomery returns the u-coordinate on Curve25519 of a public key of ed25519:
// (1+y)/(1-y) modulo 2^255-19. The scalar times the base point of Curve25519 has to be the
// same. (RFC 7748 4.1)
func montgomery(public [32]byte) ([]byte, error) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	le := public
	le[31] &= 0x7f // the sign of x
	slices.Reverse(le[:])
	y := new(big.Int).SetBytes(le[:])
	below := new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(big.NewInt(1), y), p), p)
	if below == nil {
		return nil, fmt.Errorf("%w: the public key is no point of any use", ErrKey)
	}
	u := new(big.Int).Mul(new(big.Int).Add(big.NewInt(1), y), below)
	out := u.Mod(u, p).FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out, nil
}
