package ristretto_test

import (
	"crypto/rand"
	"testing"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// TestBatchesAreTheOracles: a batch holds when the oracle accepts each of its
// signatures, whichever are damaged and whoever's they are.
func TestBatchesAreTheOracles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b ristretto.Batch
		want, decoded := true, true
		keys := map[[32]byte]*ristretto.Key{}
		n := rapid.IntRange(1, 20).Draw(t, "signatures")
		damaged := rapid.IntRange(0, 2*n).Draw(t, "damaged")
		for i := range n {
			k, _ := both(&[64]byte{byte(1 + rapid.IntRange(0, 2).Draw(t, "signer"))})
			r, _ := both(wide(t, "r"))
			e, oracleE := both(wide(t, "e"))
			s := ristretto.Sign(&k, &r, &e)
			public, nonce := ristretto.PublicKey(&k), ristretto.PublicKey(&r)
			if i == damaged {
				switch rapid.IntRange(0, 2).Draw(t, "what") {
				case 0:
					s, _ = both(wide(t, "s"))
				case 1:
					e, oracleE = both(wide(t, "other"))
				case 2:
					nonce[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				}
			}
			sBytes := s.Bytes()
			want = want && oracleVerify(public[:], nonce[:], oracleE, oracleScalar(sBytes[:]))
			if keys[public] == nil {
				keys[public] = new(ristretto.Key)
				if err := keys[public].SetBytes(public[:]); err != nil {
					t.Fatal(err)
				}
			}
			var weight [ristretto.WeightLen]byte
			rand.Read(weight[:])
			decoded = b.Add(keys[public], &nonce, &e, &s, &weight) && decoded
		}
		if got := decoded && b.Verify(); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
		if decoded && b.Len() != n {
			t.Fatalf("got %d signatures, want %d", b.Len(), n)
		}
	})
}

// TestErrorsDoNotCancel: what is too much in one signature and too little in
// another is what a sum without weights would not see.
func TestErrorsDoNotCancel(t *testing.T) {
	var k, delta ristretto.Scalar
	k.SetWide(&[64]byte{9})
	delta.SetWide(&[64]byte{1})
	public := ristretto.PublicKey(&k)
	var key ristretto.Key
	if err := key.SetBytes(public[:]); err != nil {
		t.Fatal(err)
	}
	one, minus := delta, ristretto.Multiply(&delta, minusOne(t))
	for _, shift := range []*ristretto.Scalar{nil, &one} {
		var b ristretto.Batch
		for i := range 2 {
			var r, e ristretto.Scalar
			r.SetWide(&[64]byte{3, byte(i)})
			e.SetWide(&[64]byte{5, byte(i)})
			s := ristretto.Sign(&k, &r, &e)
			if shift != nil { // s + 1, and s - 1
				unit := one
				if i == 1 {
					unit = minus
				}
				s = ristretto.Sign(&unit, &s, &one)
			}
			nonce := ristretto.PublicKey(&r)
			weight := [ristretto.WeightLen]byte{7, byte(i)}
			if !b.Add(&key, &nonce, &e, &s, &weight) {
				t.Fatal("a nonce was refused")
			}
		}
		if got, want := b.Verify(), shift == nil; got != want {
			t.Errorf("shifted %v: got %v, want %v", shift != nil, got, want)
		}
	}
}

// minusOne is the order of the group less 1.
func minusOne(t *testing.T) *ristretto.Scalar {
	var s ristretto.Scalar
	if err := s.SetCanonical(plus(order, -1)); err != nil {
		t.Fatal(err)
	}
	return &s
}
