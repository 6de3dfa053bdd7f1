package wire

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// Signature is a Schnorr signature over a message's binding hash, together
// with the key that made it: the sender's own in clear messages, a masked one
// in encrypted messages (spec: dht 2.6).
type Signature struct {
	Signer identity.PublicKey // P
	Nonce  [32]byte           // R, an encoded point
	S      [32]byte           // s, a canonical scalar, little-endian
}

// Sign returns the secret's signature over the binding hash. The nonce is made
// of 64 bytes of random, which must be unpredictable and never repeat.
func Sign(s *identity.Secret, binding [32]byte, random io.Reader) (Signature, error) {
	nonce, err := ristretto.RandomScalar(random)
	if err != nil {
		return Signature{}, fmt.Errorf("dht: sign: %w: %w", identity.ErrRandom, err)
	}
	key := scalarOf(s)
	defer key.Wipe()
	defer nonce.Wipe()
	sig := Signature{Signer: s.PublicKey(), Nonce: ristretto.PublicKey(&nonce)}
	challenge := sig.challenge(binding)
	result := ristretto.Sign(&key, &nonce, &challenge)
	sig.S = result.Bytes()
	return sig, nil
}

// Verify reports whether the signature is its signer's over the binding hash.
// The error is [ErrSignature].
func (s *Signature) Verify(binding [32]byte) error { return s.verify(binding, nil) }

// verify is Verify with the keys that v has cached; nil is no cache.
func (s *Signature) verify(binding [32]byte, v *Verifier) error {
	var scalar ristretto.Scalar
	if err := scalar.SetCanonical(s.S[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	challenge := s.challenge(binding)
	var ok bool
	if v == nil {
		ok = ristretto.Verify((*[32]byte)(&s.Signer), &s.Nonce, &challenge, &scalar)
	} else {
		ok = v.verify(s.Signer, &s.Nonce, &challenge, &scalar)
	}
	if !ok {
		return fmt.Errorf("%w: does not verify", ErrSignature)
	}
	return nil
}

// challenge hashes the signer before the nonce, unlike claims.
func (s *Signature) challenge(binding [32]byte) (c ristretto.Scalar) {
	b := identity.HashScalar(domain, 1, "message_signature", s.Signer[:], s.Nonce[:], binding[:])
	if err := c.SetCanonical(b[:]); err != nil {
		panic("dht: reduced scalar: " + err.Error())
	}
	return c
}

// signatureLen is how long an encoded signature of ours is.
const signatureLen = 102

// Append appends the encoded signature: 102 bytes.
func (s *Signature) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, s.Signer[:])
	dst = appendBytes(dst, 2, s.Nonce[:])
	return appendBytes(dst, 3, s.S[:])
}

// canonical returns the encoded signature without what a reader ignores: bytes
// beyond the three fields, fields that come again, another order. What is no
// signature it returns as it is.
func canonical(b []byte) []byte {
	if isCanonical(b) {
		return b
	}
	s, err := DecodeSignature(b)
	if err != nil {
		return b
	}
	return s.Append(make([]byte, 0, signatureLen))
}

// isCanonical reports whether b is as [Signature.Append] writes it.
func isCanonical(b []byte) bool {
	const part = signatureLen / 3
	return len(b) == signatureLen &&
		b[0] == 1<<3|2 && b[1] == 32 && b[part] == 2<<3|2 && b[part+1] == 32 && b[2*part] == 3<<3|2 && b[2*part+1] == 32
}

// DecodeSignature returns the signature that b is. It refuses with
// [ErrSignature] what lacks one of the three fields or has one that is not 32
// bytes; [Signature.Verify] judges their values.
func DecodeSignature(b []byte) (s Signature, err error) {
	var parts [3][]byte
	left := fieldBudget(len(b)) // a header bounds them, and a bad one is a ban
	err = signatureFields.read(b, left, func(f field) error {
		parts[f.number-1] = f.bytes
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	for i, p := range parts {
		if len(p) != 32 {
			return s, fmt.Errorf("%w: field %d has %d bytes, want 32", ErrSignature, i+1, len(p))
		}
	}
	return Signature{Signer: identity.PublicKey(parts[0]), Nonce: [32]byte(parts[1]), S: [32]byte(parts[2])}, nil
}

var signatureFields = schema{1: protowire.BytesType, 2: protowire.BytesType, 3: protowire.BytesType}

func scalarOf(s *identity.Secret) (scalar ristretto.Scalar) {
	b := s.Bytes()
	defer clear(b)
	if err := scalar.SetCanonical(b); err != nil {
		panic("dht: scalar of a secret: " + err.Error())
	}
	return scalar
}
