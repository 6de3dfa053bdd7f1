package dht_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

func signedBy(t testing.TB, s *identity.Secret, n uint64) dht.Envelope {
	t.Helper()
	part := binary.LittleEndian.AppendUint64(nil, n)
	e, err := dht.Compose(dht.Draft{Body: dht.AppendBody(nil, part, part), Sign: true}, s, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestKeysOfSignersAreKept is about what makes the next message of a signer
// cheaper: it must never make one hold that does not.
func TestKeysOfSignersAreKept(t *testing.T) {
	n := newNode(t, nil)
	author, other := repeated(t, writer), repeated(t, other)

	forged := signedBy(t, author, 1)
	forged.Body[len(forged.Body)-1] ^= 1
	refused := func(e dht.Envelope, when string) {
		t.Helper()
		if _, v := n.handle(e); v.Reason != dht.BadSignature || !errors.Is(v.Err, dht.ErrSignature) {
			t.Fatalf("%s: got %v (%v), want a bad signature", when, v.Reason, v.Err)
		}
	}
	refused(forged, "forged, from nobody known")
	if got := n.chain.Signers(); len(got) != 0 {
		t.Fatalf("after a forged message: got keys %v, want none", got)
	}
	accepted := func(e dht.Envelope, from *identity.Secret) {
		t.Helper()
		m, v := n.handle(e)
		if v.Reason == dht.BadSignature || m.Origin != from.PublicKey() {
			t.Fatalf("got %v (%v) of %v, want a message of %v", v.Reason, v.Err, m.Origin, from.PublicKey())
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
	if got := n.chain.Signers(); len(got) != 2 || got[0] != author.PublicKey() || got[1] != other.PublicKey() {
		t.Fatalf("got keys %v, want those of both", got)
	}
}

func TestMaskedKeysAreNotKept(t *testing.T) {
	n := newNode(t, nil)
	e, err := dht.Compose(sealedFor(t, us), repeated(t, writer), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if m, v := n.handle(e); m.Origin != repeated(t, writer).PublicKey() {
		t.Fatalf("got %v (%v), want a message of %v", v.Reason, v.Err, repeated(t, writer).PublicKey())
	}
	if got := n.chain.Signers(); len(got) != 0 {
		t.Fatalf("got keys %v, want none", got)
	}
}

func TestKeysOfSignersAreBounded(t *testing.T) {
	n := newNode(t, nil)
	var keys []identity.PublicKey
	for range dht.MaxSigners + 3 {
		s, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.PublicKey())
		n.handle(signedBy(t, s, 1))
		n.handle(signedBy(t, s, 2))
	}
	got := n.chain.Signers()
	if len(got) != dht.MaxSigners {
		t.Fatalf("got %d keys, want %d", len(got), dht.MaxSigners)
	}
	for i, key := range got {
		if !bytes.Equal(key[:], keys[i+3][:]) {
			t.Fatalf("key %d is not the one that came then", i)
		}
	}
}
