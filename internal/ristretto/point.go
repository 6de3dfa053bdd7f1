package ristretto

import (
	"errors"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/curve"
)

var (
	// ErrPoint reports bytes that are not a canonical encoding of a point.
	ErrPoint = errors.New("ristretto: not a canonical point")
	// ErrIdentity reports the identity element where a key is needed.
	ErrIdentity = errors.New("ristretto: the identity element is no key")
)

// Point is an element of the group. The zero value is not valid; set it with
// [Point.SetBytes] or [Point.MulBase] before anything else.
type Point struct {
	p curve.RistrettoPoint
}

// SetBytes sets p to the point that b encodes. Only the one canonical
// 32-byte encoding of each point is accepted. The identity element, 32 zero
// bytes, is a point: see [Point.IsIdentity].
func (p *Point) SetBytes(b []byte) error {
	if len(b) != PointLen {
		return fmt.Errorf("%w: %d bytes, want %d", ErrPoint, len(b), PointLen)
	}
	var c curve.CompressedRistretto
	copy(c[:], b)
	if _, err := p.p.SetCompressed(&c); err != nil {
		return ErrPoint
	}
	return nil
}

// Bytes returns the canonical encoding.
func (p *Point) Bytes() [PointLen]byte {
	var c curve.CompressedRistretto
	c.SetRistrettoPoint(&p.p)
	return c
}

// IsIdentity reports whether p is the identity element.
func (p *Point) IsIdentity() bool { return p.p.IsIdentity() }

// MulBase sets p to s·G, in constant time.
func (p *Point) MulBase(s *Scalar) {
	p.p.MulBasepoint(curve.RISTRETTO_BASEPOINT_TABLE, &s.s)
}

// PublicKey returns the encoding of s·G, in constant time.
func PublicKey(s *Scalar) [PointLen]byte {
	var p Point
	p.MulBase(s)
	return p.Bytes()
}

// CheckKey reports whether b encodes a point that can be a public key: a
// canonical encoding ([ErrPoint]) that is not the identity ([ErrIdentity]).
func CheckKey(b []byte) error {
	var p Point
	return p.setKey(b)
}

func (p *Point) setKey(b []byte) error {
	if err := p.SetBytes(b); err != nil {
		return err
	}
	if p.IsIdentity() {
		return ErrIdentity
	}
	return nil
}

// DH returns the encoding of s·remote, in constant time. It refuses a remote
// that does not decode ([ErrPoint]) and one that is the identity element, or
// whose product is ([ErrIdentity]).
func DH(s *Scalar, remote []byte) ([PointLen]byte, error) {
	var p Point
	if err := p.setKey(remote); err != nil {
		return [PointLen]byte{}, err
	}
	p.p.Mul(&p.p, &s.s)
	if p.IsIdentity() { // only with s = 0: the group has prime order
		return [PointLen]byte{}, ErrIdentity
	}
	return p.Bytes(), nil
}
