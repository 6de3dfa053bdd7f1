package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// padding divides the length of every plaintext, so that the length of a ciphertext
// tells little (spec: dht 3.2).
const padding = 6000

const lengthLen = 4

// nonce is zero for every message, because no two messages have the same key (spec: dht
// 3.4).
var nonce [chacha20poly1305.NonceSize]byte

// keys are the keys that both ends derive from their shared point.
type keys struct {
	message [chacha20poly1305.KeySize]byte
	mask    ristretto.Scalar // hides the sender's key as a factor
}

func deriveKeys(shared [32]byte) (k keys, err error) {
	k.message = identity.Hash256(domain, 1, "key_message", shared[:])
	return k, k.setMask(identity.HashScalar(domain, 1, "key_mask", shared[:]))
}

// setMask sets the mask to a reduced hash. It fails for zero, which has no inverse.
func (k *keys) setMask(mask [32]byte) error {
	if err := k.mask.SetCanonical(mask[:]); err != nil {
		panic("dht: reduced scalar: " + err.Error())
	}
	if k.mask.IsZero() {
		return errZeroMask
	}
	return nil
}

var errZeroMask = errors.New("dht: the mask is zero")

// seal encrypts the encoded body for the recipient and returns the ciphertext
// and the masked key of the sender, which must sign the message.
func seal(sender, ephemeral *identity.Secret, recipient identity.PublicKey, body []byte) ([]byte, *identity.Secret, error) {
	shared, err := ephemeral.DH(recipient[:])
	if err != nil {
		return nil, nil, fmt.Errorf("recipient: %w", err)
	}
	k, err := deriveKeys(shared)
	if err != nil {
		return nil, nil, err
	}
	secret := scalarOf(sender)
	defer secret.Wipe()
	product := ristretto.Multiply(&k.mask, &secret)
	b := product.Bytes()
	masked, err := identity.SecretFromBytes(b[:])
	if err != nil {
		return nil, nil, fmt.Errorf("dht: masked key: %w", err)
	}
	public := masked.PublicKey()
	aead, err := chacha20poly1305.New(k.message[:])
	if err != nil {
		return nil, nil, fmt.Errorf("dht: seal: %w", err)
	}
	text := pad(body, aead.Overhead())
	return aead.Seal(text[:0], nonce[:], text, public[:]), masked, nil
}

// pad returns the body with its length in front and zeros behind it, with room
// for the overhead.
func pad(body []byte, overhead int) []byte {
	n := (lengthLen + len(body) + padding - 1) / padding * padding
	text := make([]byte, n, n+overhead)
	binary.LittleEndian.PutUint32(text, uint32(len(body)))
	copy(text[lengthLen:], body)
	return text
}

// unpad returns the body inside the padded text. It ignores the bytes of the padding.
func unpad(text []byte) ([]byte, bool) {
	if len(text) < lengthLen || len(text)%padding != 0 {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(text)
	if uint64(n) > uint64(len(text)-lengthLen) {
		return nil, false
	}
	return text[lengthLen:][:n], true
}

// Opened is the decrypted content of a message.
type Opened struct {
	Origin identity.PublicKey // the author
	Parts  [][]byte
}

// Open decrypts a message for the holder of the secret. Signer is the key that
// [Envelope.VerifyOrigin] returned for it: the author's masked key. The only error is
// [ErrDecryption].
func (e *Envelope) Open(s *identity.Secret, signer identity.PublicKey) (Opened, error) {
	shared, err := s.DH(e.Header.Ephemeral)
	if err != nil {
		return Opened{}, ErrDecryption
	}
	k, err := deriveKeys(shared)
	if err != nil {
		return Opened{}, ErrDecryption
	}
	aead, err := chacha20poly1305.New(k.message[:])
	if err != nil {
		return Opened{}, ErrDecryption
	}
	text, err := aead.Open(nil, nonce[:], e.Body, signer[:])
	if err != nil {
		return Opened{}, ErrDecryption
	}
	body, ok := unpad(text)
	if !ok {
		return Opened{}, ErrDecryption
	}
	parts, err := DecodeBody(body)
	if err != nil || len(parts) == 0 {
		return Opened{}, ErrDecryption
	}
	unmask := ristretto.Invert(&k.mask)
	origin, err := ristretto.DH(&unmask, signer[:])
	if err != nil {
		return Opened{}, ErrDecryption
	}
	return Opened{Origin: origin, Parts: parts}, nil
}
