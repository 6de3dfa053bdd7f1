package hostile

import (
	"crypto/rand"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// claim is an identity message as fields, so that each can be wrong: spec:
// comms 7.2.
type claim struct {
	version   byte // of the frame
	addresses [][]byte
	features  uint64
	protocols [][]byte
	agent     []byte
	signature []byte // encoded; nil is none
	length    int    // announced; -1 is the body's
}

// correct is a claim without a fault, of secret, over the addresses.
func correct(t testing.TB, secret *identity.Secret, addresses ...[]byte) claim {
	return signedAt(t, secret, time.Now(), addresses...)
}

func signedAt(t testing.TB, secret *identity.Secret, at time.Time, addresses ...[]byte) claim {
	t.Helper()
	signed, err := identity.SignClaim(secret, identity.FeatureNode, addresses, at, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return claim{
		addresses: addresses, features: uint64(identity.FeatureNode), agent: []byte("hostile"),
		signature: encodeSignature(signed.Signature), length: -1,
	}
}

func encodeSignature(s identity.Signature) []byte {
	var b []byte
	b = number(b, 1, uint64(s.Version))
	b = text(b, 2, s.S[:])
	b = text(b, 3, s.Nonce[:])
	return number(b, 4, uint64(s.UpdatedAt))
}

// frame is the claim on the wire.
func (c claim) frame() []byte {
	var body []byte
	for _, a := range c.addresses {
		body = text(body, 1, a)
	}
	body = number(body, 2, c.features)
	for _, p := range c.protocols {
		body = text(body, 3, p)
	}
	body = text(body, 4, c.agent)
	if c.signature != nil {
		body = text(body, 5, c.signature)
	}
	n := len(body)
	if c.length >= 0 {
		n = c.length
	}
	return append(binary.LittleEndian.AppendUint16([]byte{c.version}, uint16(n)), body...)
}

// number and text are the two kinds of fields that the message has.
func number(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field<<3)), v)
}

func text(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field<<3|2))
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}
