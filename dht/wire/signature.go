package wire

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// Signature is a Schnorr signature over a message's binding hash, with the signer's key:
// the author's key in clear messages, a masked one in encrypted messages (spec: dht 2.6).
type Signature struct {
	Signer identity.PublicKey // P
	Nonce  [32]byte           // R, an encoded point
	S      [32]byte           // s, a canonical scalar, little-endian
}

// Sign returns the secret's signature over the binding hash. It reads 64 bytes of random
// for the nonce, which must be unpredictable and never repeat.
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

// Verify checks that the signature over the binding hash is the signer's. The error is
// [ErrSignature].
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

// challenge returns the challenge of the signature. It hashes the signer before the
// nonce, unlike the challenge of a claim.
func (s *Signature) challenge(binding [32]byte) (c ristretto.Scalar) {
	b := identity.HashScalar(domain, 1, "message_signature", s.Signer[:], s.Nonce[:], binding[:])
	if err := c.SetCanonical(b[:]); err != nil {
		panic("dht: reduced scalar: " + err.Error())
	}
	return c
}

// signatureLen is the length of a canonically encoded signature.
const signatureLen = 102

// Append appends the encoded signature: 102 bytes.
func (s *Signature) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, s.Signer[:])
	dst = appendBytes(dst, 2, s.Nonce[:])
	return appendBytes(dst, 3, s.S[:])
}

// canonical returns the canonical encoding of an encoded signature, without unknown or
// repeated fields. It returns b itself if b does not decode.
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

// isCanonical reports whether b has the form that [Signature.Append] writes.
func isCanonical(b []byte) bool {
	const part = signatureLen / 3
	return len(b) == signatureLen &&
		b[0] == 1<<3|2 && b[1] == 32 && b[part] == 2<<3|2 && b[part+1] == 32 && b[2*part] == 3<<3|2 && b[2*part+1] == 32
}

// DecodeSignature decodes a signature. The error is [ErrSignature], also if one of the three
// fields is missing or not 32 bytes long, and [ErrSignatureBytes] as well if b is no encoded
// message. [Signature.Verify] checks the values of the fields.
func DecodeSignature(b []byte) (s Signature, err error) {
	var parts [3][]byte
	left := fieldBudget(len(b)) // the header's length bounds them
	err = signatureFields.read(b, left, func(f field) error {
		parts[f.number-1] = f.bytes
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("%w: %w: %w", ErrSignature, ErrSignatureBytes, err)
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
