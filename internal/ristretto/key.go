package ristretto

import "github.com/oasisprotocol/curve25519-voi/curve"

// Key is a public key that is made ready to verify many signatures: what
// [Verify] works out of the key's encoding each time is kept, 1.4 kB.
type Key struct {
	negated curve.ExpandedRistrettoPoint
}

// SetBytes sets k to the key that b encodes. It refuses what [CheckKey] does.
func (k *Key) SetBytes(b []byte) error {
	var p Point
	if err := p.setKey(b); err != nil {
		return err
	}
	p.p.Neg(&p.p)
	k.negated.SetRistrettoPoint(&p.p)
	return nil
}

// Verify is the function [Verify] with this key.
func (k *Key) Verify(nonce *[PointLen]byte, challenge, s *Scalar) bool {
	var r Point
	r.p.ExpandedDoubleScalarMulBasepointVartime(&challenge.s, &k.negated, &s.s)
	return r.Bytes() == *nonce
}
