package wire_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

func signedBy(t testing.TB, s *identity.Secret, n uint64) wire.Envelope {
	t.Helper()
	part := binary.LittleEndian.AppendUint64(nil, n)
	e, err := wire.Compose(wire.Draft{Body: wire.AppendBody(nil, part, part), Sign: true}, s, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestKeysOfSignersAreKept: a cached key never makes a bad signature verify.
func TestKeysOfSignersAreKept(t *testing.T) {
	var v wire.Verifier
	author, other := repeated(t, 1), repeated(t, 6)

	forged := signedBy(t, author, 1)
	forged.Body[len(forged.Body)-1] ^= 1
	refused := func(e wire.Envelope, when string) {
		t.Helper()
		if _, err := v.Verify(&e); !errors.Is(err, wire.ErrSignature) {
			t.Fatalf("%s: got %v, want a bad signature", when, err)
		}
	}
	refused(forged, "forged, from nobody known")
	if got := v.Signers(); len(got) != 0 {
		t.Fatalf("after a forged message: got keys %v, want none", got)
	}
	accepted := func(e wire.Envelope, from *identity.Secret) {
		t.Helper()
		if signer, err := v.Verify(&e); err != nil || signer != from.PublicKey() {
			t.Fatalf("got a message of %v, %v, want one of %v", signer, err, from.PublicKey())
		}
	}
	accepted(signedBy(t, author, 2), author)
	accepted(signedBy(t, author, 3), author)
	refused(forged, "forged, from a known signer")
	stolen := signedBy(t, other, 4) // in the name of one whose key is ready
	key := author.PublicKey()
	copy(stolen.Header.Signature[2:], key[:])
	refused(stolen, "in another's name")
	accepted(signedBy(t, other, 5), other)
	if got := v.Signers(); len(got) != 2 || got[0] != author.PublicKey() || got[1] != other.PublicKey() {
		t.Fatalf("got keys %v, want those of both", got)
	}
}

func TestMaskedKeysAreNotKept(t *testing.T) {
	var v wire.Verifier
	k := repeated(t, 2).PublicKey()
	e, err := wire.Compose(wire.Draft{Destination: wire.To(k), EncryptFor: k, Body: ping(t)}, repeated(t, 1), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(&e); err != nil {
		t.Fatal(err)
	}
	if got := v.Signers(); len(got) != 0 {
		t.Fatalf("got keys %v, want none", got)
	}
}

func TestKeysOfSignersAreBounded(t *testing.T) {
	var v wire.Verifier
	var keys []identity.PublicKey
	for range wire.MaxSigners + 3 {
		s, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.PublicKey())
		for n := range 2 {
			e := signedBy(t, s, uint64(n))
			if _, err := v.Verify(&e); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := v.Signers()
	if len(got) != wire.MaxSigners {
		t.Fatalf("got %d keys, want %d", len(got), wire.MaxSigners)
	}
	for i, key := range got {
		if !bytes.Equal(key[:], keys[i+3][:]) {
			t.Fatalf("key %d is not the one that came then", i)
		}
	}
}
