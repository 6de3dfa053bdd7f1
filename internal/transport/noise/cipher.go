package noise

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/crypto/chacha20poly1305"
)

// cipherState encrypts or decrypts the frames of one direction. It is the
// CipherState of the Noise specification; the nonce is a field, so that using it needs
// no allocation.
type cipherState struct {
	aead  cipher.AEAD
	n     uint64
	nonce [chacha20poly1305.NonceSize]byte // 4 zero bytes, then n little-endian
}

func (s *cipherState) init(key [32]byte) {
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("noise: " + err.Error()) // cannot happen: the key has 32 bytes
	}
	s.aead = aead
}

// advance returns the nonce of the next frame. 2^64−1 is reserved.
func (s *cipherState) advance() ([]byte, error) {
	if s.n == math.MaxUint64 {
		return nil, ErrExhausted
	}
	binary.LittleEndian.PutUint64(s.nonce[4:], s.n)
	s.n++
	return s.nonce[:], nil
}

// seal appends the encrypted plain to dst.
func (s *cipherState) seal(dst, plain []byte) ([]byte, error) {
	nonce, err := s.advance()
	if err != nil {
		return nil, err
	}
	return s.aead.Seal(dst, nonce, plain, nil), nil
}

// open appends the decrypted frame to dst, which may be frame[:0].
func (s *cipherState) open(dst, frame []byte) ([]byte, error) {
	nonce, err := s.advance()
	if err != nil {
		return nil, err
	}
	plain, err := s.aead.Open(dst, nonce, frame, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	return plain, nil
}
