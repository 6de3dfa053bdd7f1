package anchors

import (
	"crypto/rand"
	"errors"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// schnorr is a signature over a message of 32 bytes and what it takes to check
// it, with the library and nothing around it: a key, a nonce made of 64 random
// bytes, and a challenge of 64 bytes over key, nonce and message.
type schnorr struct {
	secret, s     scalar.Scalar
	public, nonce curve.CompressedRistretto
	message       []byte
	random        [64]byte
	hashed        []byte
}

func newSchnorr() (*schnorr, error) {
	x := &schnorr{message: body(32), hashed: make([]byte, 0, 96)}
	if _, err := x.secret.SetBytesModOrderWide(body(64)); err != nil {
		return nil, err
	}
	x.public = multiplyBase(&x.secret)
	return x, x.sign()
}

func multiplyBase(s *scalar.Scalar) (c curve.CompressedRistretto) {
	var p curve.RistrettoPoint
	p.MulBasepoint(curve.RISTRETTO_BASEPOINT_TABLE, s)
	c.SetRistrettoPoint(&p)
	return c
}

func (x *schnorr) challenge() (e scalar.Scalar, err error) {
	x.hashed = append(append(append(x.hashed[:0], x.public[:]...), x.nonce[:]...), x.message...)
	digest := blake2b.Sum512(x.hashed)
	_, err = e.SetBytesModOrderWide(digest[:])
	return e, err
}

func (x *schnorr) sign() error {
	rand.Read(x.random[:]) // never fails
	var r scalar.Scalar
	if _, err := r.SetBytesModOrderWide(x.random[:]); err != nil {
		return err
	}
	x.nonce = multiplyBase(&r)
	e, err := x.challenge()
	x.s.Mul(&e, &x.secret)
	x.s.Add(&x.s, &r)
	return err
}

func (x *schnorr) verify() error {
	e, err := x.challenge()
	if err != nil {
		return err
	}
	var p, r curve.RistrettoPoint
	if _, err := p.SetCompressed(&x.public); err != nil {
		return err
	}
	p.Neg(&p)
	r.DoubleScalarMulBasepointVartime(&e, &p, &x.s)
	var c curve.CompressedRistretto
	if c.SetRistrettoPoint(&r); c != x.nonce {
		return errors.New("the signature does not verify")
	}
	return nil
}

// CurveSign is curve/voi-sign: Schnorr signatures over ristretto255, one after
// another.
func CurveSign() harness.Case {
	return harness.Case{Name: "curve/voi-sign", Run: func(m *harness.Meter) error {
		x, err := newSchnorr()
		if err != nil {
			return err
		}
		return m.Loop(10, x.sign)
	}}
}

// CurveVerify is curve/voi-verify: the same signature is verified again and
// again.
func CurveVerify() harness.Case {
	return harness.Case{Name: "curve/voi-verify", Run: func(m *harness.Meter) error {
		x, err := newSchnorr()
		if err != nil {
			return err
		}
		return m.Loop(10, x.verify)
	}}
}
