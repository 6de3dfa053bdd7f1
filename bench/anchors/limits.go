package anchors

import (
	"crypto/cipher"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Seal is limits/chacha20poly1305-seal-N: one goroutine, warm buffers.
func Seal(n int) harness.Case {
	return harness.Case{Name: "limits/chacha20poly1305-seal-" + size(n), Run: func(m *harness.Meter) error {
		aead, err := newAEAD()
		if err != nil {
			return err
		}
		plain, nonce := body(n), make([]byte, aead.NonceSize())
		out := make([]byte, 0, n+aead.Overhead())
		m.SetBytes(n)
		return m.Loop(10, func() error {
			out = aead.Seal(out[:0], nonce, plain, nil)
			return nil
		})
	}}
}

// Open is limits/chacha20poly1305-open-N.
func Open(n int) harness.Case {
	return harness.Case{Name: "limits/chacha20poly1305-open-" + size(n), Run: func(m *harness.Meter) error {
		aead, err := newAEAD()
		if err != nil {
			return err
		}
		nonce := make([]byte, aead.NonceSize())
		sealed := aead.Seal(nil, nonce, body(n), nil)
		out := make([]byte, 0, n)
		m.SetBytes(n)
		return m.Loop(10, func() error {
			out, err = aead.Open(out[:0], nonce, sealed, nil)
			return err
		})
	}}
}

func newAEAD() (cipher.AEAD, error) {
	return chacha20poly1305.New(body(chacha20poly1305.KeySize))
}
