package ristretto

import "github.com/oasisprotocol/curve25519-voi/curve"

// Sign returns s = nonce + challenge·secret, the scalar of a Schnorr
// signature, in constant time. The nonce must be uniform and never used
// twice: two signatures with one nonce give the secret away.
func Sign(secret, nonce, challenge *Scalar) Scalar {
	var s Scalar
	s.s.Mul(&challenge.s, &secret.s)
	s.s.Add(&s.s, &nonce.s)
	return s
}

// Verify reports whether s·G = R + challenge·P, where nonce is the encoding
// of R and key that of P. It compares the encoding of s·G − challenge·P with
// nonce, so that a nonce that is no canonical point never verifies. A key
// that does not decode, or is the identity element, never verifies either. Verify
// runs in variable time, since all its inputs are public.
func Verify(key, nonce *[PointLen]byte, challenge, s *Scalar) bool {
	var p Point
	if p.setKey(key[:]) != nil {
		return false
	}
	p.p.Neg(&p.p)
	var r Point
	r.p.DoubleScalarMulBasepointVartime(&challenge.s, &p.p, &s.s)
	var c curve.CompressedRistretto
	c.SetRistrettoPoint(&r.p)
	return c == curve.CompressedRistretto(*nonce)
}
