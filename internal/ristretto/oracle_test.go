package ristretto_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gtank/ristretto255"
	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// order is the order of the group, 2^252 + 2774…, little-endian.
var order = mustHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// plus returns b + n as a little-endian number of the same length.
func plus(b []byte, n int) []byte {
	sum := bytes.Clone(b)
	for i := range sum {
		n += int(sum[i])
		sum[i] = byte(n)
		n >>= 8
	}
	return sum
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return list
}

// scalar32 draws 32 bytes that are often near the order of the group.
func scalar32() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return plus(order, rapid.IntRange(-3, 3).Draw(t, "offset"))
		case 1:
			return plus(make([]byte, 32), rapid.IntRange(0, 3).Draw(t, "small"))
		case 2: // below the order
			b := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes")
			b[31] &= 0x0f
			return b
		}
		return rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes")
	})
}

func wide(t *rapid.T, name string) *[64]byte {
	return (*[64]byte)(rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, name))
}

// both returns the same scalar in both libraries.
func both(w *[64]byte) (ristretto.Scalar, *ristretto255.Scalar) {
	var s ristretto.Scalar
	s.SetWide(w)
	return s, ristretto255.NewScalar().FromUniformBytes(w[:])
}

// point32 draws 32 bytes, many of which are points.
func point32() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes")
		case 1: // the identity and its neighbours
			return plus(make([]byte, 32), rapid.IntRange(0, 4).Draw(t, "small"))
		}
		e := ristretto255.NewElement().FromUniformBytes(wide(t, "point")[:]).Encode(nil)
		if rapid.IntRange(0, 3).Draw(t, "damage") == 0 {
			e[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		return e
	})
}

func TestScalarsDecodeAsTheOracleDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := scalar32().Draw(t, "scalar")
		want := ristretto255.NewScalar()
		wantErr := want.Decode(b)
		var got ristretto.Scalar
		err := got.SetCanonical(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("decode %x: got %v, want %v", b, err, wantErr)
		}
		if err != nil {
			if !errors.Is(err, ristretto.ErrScalar) {
				t.Fatalf("decode %x: got %v, want ErrScalar", b, err)
			}
			if !got.IsZero() {
				t.Fatal("a refused scalar: got a value, want 0")
			}
			return
		}
		if e := got.Bytes(); !bytes.Equal(e[:], want.Encode(nil)) {
			t.Fatalf("got %x, want %x", e, want.Encode(nil))
		}
	})
}

func TestWideReductionIsTheOracles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got, want := both(wide(t, "wide"))
		if e := got.Bytes(); !bytes.Equal(e[:], want.Encode(nil)) {
			t.Fatalf("got %x, want %x", e, want.Encode(nil))
		}
	})
	var ones [64]byte
	for i := range ones {
		ones[i] = 0xff
	}
	got, want := both(&ones)
	if e := got.Bytes(); !bytes.Equal(e[:], want.Encode(nil)) {
		t.Fatalf("all ones: got %x, want %x", e, want.Encode(nil))
	}
}

// conforms: comms 1
func TestScalarsOfOtherLengthsAreRefused(t *testing.T) {
	for _, n := range []int{0, 1, 31, 33, 64} {
		var s ristretto.Scalar
		if err := s.SetCanonical(make([]byte, n)); !errors.Is(err, ristretto.ErrScalar) {
			t.Errorf("%d bytes: got %v, want ErrScalar", n, err)
		}
	}
}

// conforms: comms 2
func TestPointsDecodeAsTheOracleDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := point32().Draw(t, "point")
		want := ristretto255.NewElement()
		wantErr := want.Decode(b)
		var got ristretto.Point
		err := got.SetBytes(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("decode %x: got %v, want %v", b, err, wantErr)
		}
		if err != nil {
			if !errors.Is(err, ristretto.ErrPoint) {
				t.Fatalf("decode %x: got %v, want ErrPoint", b, err)
			}
			return
		}
		if e := got.Bytes(); !bytes.Equal(e[:], b) {
			t.Fatalf("got %x, want %x", e, b)
		}
		if got, want := got.IsIdentity(), bytes.Equal(b, make([]byte, 32)); got != want {
			t.Fatalf("%x is the identity: got %v, want %v", b, got, want)
		}
	})
}

// conforms: comms 2
func TestBadEncodingsAreRefused(t *testing.T) {
	for _, line := range lines(t, "testdata/bad-points.txt") {
		b := mustHex(line)
		if err := ristretto255.NewElement().Decode(b); err == nil {
			t.Errorf("%s: the oracle takes it", line)
		}
		var p ristretto.Point
		if err := p.SetBytes(b); !errors.Is(err, ristretto.ErrPoint) {
			t.Errorf("%s: got %v, want ErrPoint", line, err)
		}
		if err := ristretto.CheckKey(b); !errors.Is(err, ristretto.ErrPoint) {
			t.Errorf("%s as a key: got %v, want ErrPoint", line, err)
		}
	}
	for _, n := range []int{0, 31, 33, 64} {
		var p ristretto.Point
		if err := p.SetBytes(make([]byte, n)); !errors.Is(err, ristretto.ErrPoint) {
			t.Errorf("%d bytes: got %v, want ErrPoint", n, err)
		}
	}
	if err := ristretto.CheckKey(make([]byte, 32)); !errors.Is(err, ristretto.ErrIdentity) {
		t.Errorf("identity as a key: got %v, want ErrIdentity", err)
	}
}

func TestProductsAreTheOracles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, oracleK := both(wide(t, "k"))
		want := ristretto255.NewElement().ScalarBaseMult(oracleK).Encode(nil)
		if got := ristretto.PublicKey(&k); !bytes.Equal(got[:], want) {
			t.Fatalf("base product: got %x, want %x", got, want)
		}

		remote := point32().Draw(t, "remote")
		e := ristretto255.NewElement()
		shared, err := ristretto.DH(&k, remote)
		if e.Decode(remote) != nil {
			if !errors.Is(err, ristretto.ErrPoint) {
				t.Fatalf("DH with %x: got %v, want ErrPoint", remote, err)
			}
			return
		}
		want = e.ScalarMult(oracleK, e).Encode(nil)
		if bytes.Equal(want, make([]byte, 32)) {
			if !errors.Is(err, ristretto.ErrIdentity) {
				t.Fatalf("DH that gives the identity: got %v, want ErrIdentity", err)
			}
			return
		}
		if err != nil || !bytes.Equal(shared[:], want) {
			t.Fatalf("DH: got %x, %v, want %x", shared, err, want)
		}
	})
}

func TestDHRefusesTheIdentity(t *testing.T) {
	var k, zero ristretto.Scalar
	k.SetWide(&[64]byte{7})
	if _, err := ristretto.DH(&k, make([]byte, 32)); !errors.Is(err, ristretto.ErrIdentity) {
		t.Errorf("remote identity: got %v, want ErrIdentity", err)
	}
	base := ristretto.PublicKey(&k)
	if _, err := ristretto.DH(&zero, base[:]); !errors.Is(err, ristretto.ErrIdentity) {
		t.Errorf("secret 0: got %v, want ErrIdentity", err)
	}
}

func TestSignaturesAreTheOracles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, oracleK := both(wide(t, "k"))
		r, oracleR := both(wide(t, "r"))
		e, oracleE := both(wide(t, "e"))
		if k.IsZero() {
			t.Skip("no key")
		}
		s := ristretto.Sign(&k, &r, &e)
		want := ristretto255.NewScalar().Multiply(oracleE, oracleK)
		want.Add(want, oracleR)
		if got := s.Bytes(); !bytes.Equal(got[:], want.Encode(nil)) {
			t.Fatalf("s: got %x, want %x", got, want.Encode(nil))
		}
		key, nonce := ristretto.PublicKey(&k), ristretto.PublicKey(&r)
		if !ristretto.Verify(&key, &nonce, &e, &s) {
			t.Fatal("a signature of ours: got refused, want accepted")
		}

		// Whatever is damaged, both libraries must say the same.
		damaged, bit := rapid.SampledFrom([]string{"key", "nonce", "e", "s", ""}).Draw(t, "damage"), rapid.IntRange(0, 255).Draw(t, "bit")
		flip := func(b *[32]byte) { b[bit/8] ^= 1 << (bit % 8) }
		switch damaged {
		case "key":
			flip(&key)
		case "nonce":
			flip(&nonce)
		case "e", "s":
			w := wide(t, "other")
			if damaged == "e" {
				e, oracleE = both(w)
			} else {
				s, want = both(w)
			}
		}
		holds := oracleVerify(key[:], nonce[:], oracleE, want)
		if got := ristretto.Verify(&key, &nonce, &e, &s); got != holds {
			t.Fatalf("with %q damaged: got %v, want %v", damaged, got, holds)
		}
		var ready ristretto.Key
		if got := ready.SetBytes(key[:]) == nil && ready.Verify(&nonce, &e, &s); got != holds {
			t.Fatalf("with %q damaged, by a key made ready: got %v, want %v", damaged, got, holds)
		}
	})
}

// oracleVerify is s·G = R + e·P, straight from the specification.
func oracleVerify(key, nonce []byte, e, s *ristretto255.Scalar) bool {
	p, r := ristretto255.NewElement(), ristretto255.NewElement()
	if p.Decode(key) != nil || r.Decode(nonce) != nil || p.Equal(ristretto255.NewElement()) == 1 {
		return false
	}
	right := ristretto255.NewElement().ScalarMult(e, p)
	right.Add(right, r)
	return ristretto255.NewElement().ScalarBaseMult(s).Equal(right) == 1
}

func oracleScalar(b []byte) *ristretto255.Scalar {
	s := ristretto255.NewScalar()
	if err := s.Decode(b); err != nil {
		panic(err)
	}
	return s
}

func TestVerifyRefusesTheIdentityKey(t *testing.T) {
	// With P the identity, R = s·G satisfies the equation for every e.
	var e, s ristretto.Scalar
	e.SetWide(&[64]byte{5})
	s.SetWide(&[64]byte{9})
	nonce := ristretto.PublicKey(&s)
	if ristretto.Verify(new([32]byte), &nonce, &e, &s) {
		t.Error("identity as key: got accepted, want refused")
	}
	if err := new(ristretto.Key).SetBytes(make([]byte, 32)); !errors.Is(err, ristretto.ErrIdentity) {
		t.Errorf("identity as a key to be made ready: got %v, want ErrIdentity", err)
	}
}

func TestWipe(t *testing.T) {
	var s ristretto.Scalar
	s.SetWide(&[64]byte{9})
	s.Wipe()
	if !s.IsZero() {
		t.Error("got a value, want 0")
	}
}

func BenchmarkSign(b *testing.B) {
	var k, r, e ristretto.Scalar
	k.SetWide(&[64]byte{1, 2, 3})
	r.SetWide(&[64]byte{4, 5, 6})
	e.SetWide(&[64]byte{7, 8, 9})
	b.ReportAllocs()
	for b.Loop() {
		ristretto.PublicKey(&r)
		ristretto.Sign(&k, &r, &e)
	}
}

func BenchmarkVerify(b *testing.B) {
	var k, r, e ristretto.Scalar
	k.SetWide(&[64]byte{1, 2, 3})
	r.SetWide(&[64]byte{4, 5, 6})
	e.SetWide(&[64]byte{7, 8, 9})
	s := ristretto.Sign(&k, &r, &e)
	key, nonce := ristretto.PublicKey(&k), ristretto.PublicKey(&r)
	b.ReportAllocs()
	for b.Loop() {
		if !ristretto.Verify(&key, &nonce, &e, &s) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkVerifyReady(b *testing.B) {
	var k, r, e ristretto.Scalar
	k.SetWide(&[64]byte{1, 2, 3})
	r.SetWide(&[64]byte{4, 5, 6})
	e.SetWide(&[64]byte{7, 8, 9})
	s := ristretto.Sign(&k, &r, &e)
	key, nonce := ristretto.PublicKey(&k), ristretto.PublicKey(&r)
	var ready ristretto.Key
	if err := ready.SetBytes(key[:]); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ready.Verify(&nonce, &e, &s) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkDH(b *testing.B) {
	var k ristretto.Scalar
	k.SetWide(&[64]byte{1, 2, 3})
	key := ristretto.PublicKey(&k)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ristretto.DH(&k, key[:]); err != nil {
			b.Fatal(err)
		}
	}
}
