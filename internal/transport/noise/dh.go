package noise

import (
	"fmt"
	"io"

	flynn "github.com/flynn/noise"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

const (
	dhDomain = "com.tari.comms.core"
	dhLabel  = "noise.dh"
)

// dh is ristretto255 followed by the domain-separated hash.
type dh struct{}

// DHLen returns the length of public keys and of the output.
func (dh) DHLen() int { return ristretto.PointLen }

// DHName returns a part of the protocol's name, which is hashed.
func (dh) DHName() string { return "25519" }

// GenerateKeypair returns a uniform key made of 64 random bytes.
func (dh) GenerateKeypair(random io.Reader) (flynn.DHKey, error) {
	s, err := identity.NewSecret(random)
	if err != nil {
		return flynn.DHKey{}, err
	}
	return keypair(s), nil
}

// DH returns the hash of private·public, and an error for a public key that
// does not decode or is the identity element.
func (dh) DH(private, public []byte) ([]byte, error) {
	var k ristretto.Scalar
	if err := k.SetCanonical(private); err != nil {
		return nil, err
	}
	defer k.Wipe()
	point, err := ristretto.DH(&k, public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	hashed := identity.Hash256(dhDomain, 0, dhLabel, point[:])
	return hashed[:], nil
}

func keypair(s *identity.Secret) flynn.DHKey {
	public := s.PublicKey()
	return flynn.DHKey{Private: s.Bytes(), Public: public[:]}
}
