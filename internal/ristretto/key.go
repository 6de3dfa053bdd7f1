package ristretto

import "github.com/oasisprotocol/curve25519-voi/curve"

// Key is a public key prepared for verifying many signatures: it keeps the values,
// 1.4 kB, that [Verify] computes from the key's encoding each time.
type Key struct {
	negated curve.ExpandedRistrettoPoint
}

// SetBytes sets k to the key that b encodes. It refuses the same keys as [CheckKey].
func (k *Key) SetBytes(b []byte) error {
	var p Point
	if err := p.setKey(b); err != nil {
		return err
	}
	p.p.Neg(&p.p)
	k.negated.SetRistrettoPoint(&p.p)
	return nil
}

// Verify does the same as the function [Verify], with this key.
func (k *Key) Verify(nonce *[PointLen]byte, challenge, s *Scalar) bool {
	var r Point
	r.p.ExpandedDoubleScalarMulBasepointVartime(&challenge.s, &k.negated, &s.s)
	return r.Bytes() == *nonce
}
