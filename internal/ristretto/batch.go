package ristretto

import (
	"sync"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// WeightLen is how many random bytes each signature of a [Batch] takes.
const WeightLen = 16

// Batch verifies several Schnorr signatures in one equation: the sum of their
// equations, each multiplied by a random weight. That takes about half the work, and
// less for signatures of one key. The zero Batch is empty.
type Batch struct {
	base    scalar.Scalar
	keys    []*Key
	factors []*scalar.Scalar // of keys
	weights []*scalar.Scalar
	nonces  []*curve.RistrettoPoint
}

// Add adds a signature; the arguments are those of [Key.Verify]. The author of a
// signature must not be able to predict weight. Add returns false, and adds nothing,
// when the nonce is no canonical point: such a signature does not verify.
func (b *Batch) Add(key *Key, nonce *[PointLen]byte, challenge, s *Scalar, weight *[WeightLen]byte) bool {
	var r Point
	if r.SetBytes(nonce[:]) != nil {
		return false
	}
	r.p.Neg(&r.p)
	var wide [ScalarLen]byte
	copy(wide[:], weight[:])
	z := new(scalar.Scalar)
	if _, err := z.SetCanonicalBytes(wide[:]); err != nil {
		panic("ristretto: weight of 128 bits: " + err.Error())
	}
	var product scalar.Scalar
	b.base.Add(&b.base, product.Mul(z, &s.s))
	factor := b.factor(key)
	factor.Add(factor, product.Mul(z, &challenge.s))
	b.weights, b.nonces = append(b.weights, z), append(b.nonces, &r.p)
	return true
}

// factor returns the factor of the key in the sum so far.
func (b *Batch) factor(key *Key) *scalar.Scalar {
	for i, k := range b.keys {
		if k == key {
			return b.factors[i]
		}
	}
	f := new(scalar.Scalar)
	b.keys, b.factors = append(b.keys, key), append(b.factors, f)
	return f
}

// Len returns how many signatures were added.
func (b *Batch) Len() int { return len(b.weights) }

var basepoint = sync.OnceValue(func() *curve.ExpandedRistrettoPoint {
	return curve.NewExpandedRistrettoPoint(curve.RISTRETTO_BASEPOINT_POINT)
})

// Verify reports whether all signatures verify. When one does not, Verify returns
// true with a probability of 2^-128. It runs in variable time.
func (b *Batch) Verify() bool {
	factors := append([]*scalar.Scalar{&b.base}, b.factors...)
	points := []*curve.ExpandedRistrettoPoint{basepoint()}
	for _, k := range b.keys {
		points = append(points, &k.negated)
	}
	var sum curve.RistrettoPoint
	sum.ExpandedMultiscalarMulVartime(factors, points, b.weights, b.nonces)
	return sum.IsIdentity()
}
