package ristretto

import (
	"errors"
	"fmt"
	"io"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// Sizes of encodings in bytes.
const (
	ScalarLen = 32 // canonical scalar, little-endian
	WideLen   = 64 // input of a wide reduction, little-endian
	PointLen  = 32 // canonical point
)

// ErrScalar reports bytes that are not a canonical scalar: not 32 of them,
// or a value that is not below the order of the group.
var ErrScalar = errors.New("ristretto: not a canonical scalar")

// Scalar is an integer modulo the order of the group,
// 2^252 + 27742317777372353535851937790883648493. The zero value is 0.
type Scalar struct {
	s scalar.Scalar
}

// SetCanonical sets s to the 32 little-endian bytes b. A value that is not
// reduced is refused with [ErrScalar], and s is then 0.
func (s *Scalar) SetCanonical(b []byte) error {
	if len(b) != ScalarLen {
		s.s.Zero()
		return fmt.Errorf("%w: %d bytes, want %d", ErrScalar, len(b), ScalarLen)
	}
	if _, err := s.s.SetCanonicalBytes(b); err != nil {
		s.s.Zero()
		return ErrScalar
	}
	return nil
}

// SetWide sets s to b, read as a 512-bit little-endian integer, modulo the
// order of the group.
func (s *Scalar) SetWide(b *[WideLen]byte) {
	if _, err := s.s.SetBytesModOrderWide(b[:]); err != nil {
		panic("ristretto: wide reduction of 64 bytes: " + err.Error())
	}
}

var errZero = errors.New("the source returned zero")

// RandomScalar returns a uniform scalar other than zero: 64 bytes of random, read
// as [Scalar.SetWide] does.
func RandomScalar(random io.Reader) (s Scalar, err error) {
	var wide [WideLen]byte
	defer clear(wide[:])
	if _, err := io.ReadFull(random, wide[:]); err != nil {
		return s, err
	}
	if s.SetWide(&wide); s.IsZero() {
		return s, errZero
	}
	return s, nil
}

// Bytes returns the canonical little-endian encoding.
func (s *Scalar) Bytes() (b [ScalarLen]byte) {
	if err := s.s.ToBytes(b[:]); err != nil {
		panic("ristretto: encode scalar: " + err.Error())
	}
	return b
}

// IsZero reports whether s is 0, in constant time.
func (s *Scalar) IsZero() bool {
	var zero scalar.Scalar
	return s.s.Equal(&zero) == 1
}

// Wipe sets s to 0.
func (s *Scalar) Wipe() { s.s.Zero() }

// Multiply returns a·b, in constant time.
func Multiply(a, b *Scalar) (product Scalar) {
	product.s.Mul(&a.s, &b.s)
	return product
}

// Invert returns 1/a, in constant time; the inverse of 0 is 0.
func Invert(a *Scalar) (inverse Scalar) {
	inverse.s.Invert(&a.s)
	return inverse
}
