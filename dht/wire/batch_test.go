package wire_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestBatch: signatures that are verified together hold as they do one by one, and
// leave the same keys in the cache.
func TestBatch(t *testing.T) {
	author, second := repeated(t, 1), repeated(t, 6)
	recipient := repeated(t, 2).PublicKey()
	sealed, err := wire.Compose(wire.Draft{Destination: wire.To(recipient), EncryptFor: recipient, Body: ping(t)}, second, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := signedBy(t, author, 100)
	forged.Body[len(forged.Body)-1] ^= 1
	renamed := signedBy(t, second, 101)
	key := author.PublicKey()
	copy(renamed.Header.Signature[2:], key[:])
	valid := []wire.Envelope{signedBy(t, author, 1), signedBy(t, second, 2), signedBy(t, author, 3)}
	for _, c := range []struct {
		name  string
		extra []wire.Envelope
		ok    bool
	}{
		{"signed", nil, true},
		{"with an encrypted one", []wire.Envelope{sealed}, true},
		{"with a forged one", []wire.Envelope{forged}, false},
		{"with one in another's name", []wire.Envelope{renamed}, false},
	} {
		for place := range 3 {
			var alone, together wire.Verifier
			batch := together.Batch(rand.Reader)
			for _, e := range slices.Insert(slices.Clone(valid), place, c.extra...) {
				sig, err := wire.DecodeSignature(e.Header.Signature)
				if err != nil {
					t.Fatal(err)
				}
				if signer, ok := batch.Add(&e); !ok || signer != sig.Signer {
					t.Errorf("%s at %d: got signer %v, %v, want %v", c.name, place, signer, ok, sig.Signer)
				}
				alone.Verify(&e)
			}
			if got := batch.Verify(); got != c.ok {
				t.Errorf("%s at %d: got %v, want %v", c.name, place, got, c.ok)
			}
			want := sorted(alone.Signers())
			if !c.ok {
				want = nil
			}
			if got := sorted(together.Signers()); !slices.Equal(got, want) {
				t.Errorf("%s at %d: got keys %v, want %v", c.name, place, got, want)
			}
		}
	}
}

func sorted(keys []identity.PublicKey) []identity.PublicKey {
	slices.SortFunc(keys, func(a, b identity.PublicKey) int { return bytes.Compare(a[:], b[:]) })
	return keys
}

// TestBatchRefuses what it cannot verify: malformed and absent signatures, one
// signature alone, more than fit, and all of them without randomness.
func TestBatchRefuses(t *testing.T) {
	author := repeated(t, 1)
	truncated := signedBy(t, author, 1)
	truncated.Header.Signature = truncated.Header.Signature[:50]
	large := signedBy(t, author, 2) // a scalar that is not canonical
	copy(large.Header.Signature[70:], bytes.Repeat([]byte{0xff}, 32))
	noPoint := signedBy(t, author, 3)
	copy(noPoint.Header.Signature[2:], bytes.Repeat([]byte{0xff}, 32))
	var v wire.Verifier
	batch := v.Batch(rand.Reader)
	for name, e := range map[string]wire.Envelope{
		"no signature": compose(t, wire.Draft{Body: ping(t)}), "truncated": truncated, "large": large, "no point": noPoint,
	} {
		if _, ok := batch.Add(&e); ok {
			t.Errorf("%s: got it added", name)
		}
	}
	for n := range wire.MaxBatch + 1 {
		e := signedBy(t, author, uint64(n))
		if _, ok := batch.Add(&e); ok != (n < wire.MaxBatch) {
			t.Errorf("signature %d: got added %v", n, ok)
		}
		if n == 0 && batch.Verify() {
			t.Error("one signature alone: got it verified")
		}
	}
	if !batch.Verify() {
		t.Error("a full batch does not verify")
	}
	e := signedBy(t, author, 1)
	if _, ok := v.Batch(failing{}).Add(&e); ok {
		t.Error("without randomness: got it added")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no randomness") }
