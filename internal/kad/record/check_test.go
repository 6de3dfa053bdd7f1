package record_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestKnownRecord signs the record of kad B2, and checks it.
//
// conforms: kad 16
func TestKnownRecord(t *testing.T) {
	r, err := record.Sign(signer(0), record.Content{Salt: []byte("profile"), Value: []byte("hello"), Seq: 7, Expires: time.Unix(1_800_000_000, 0)}, now)
	if err != nil {
		t.Fatal(err)
	}
	const key = "d4ff5619602bd20d193a7b22971ba2e53ff08965c235c03d95d7f57c387572c8"
	const signature = "9d51347090cbc5f5a55aa8ccc3faebc940ef483efa874803789d732f3bd276832bbe5a0083195d59365247a3e8d2badeb746d6d6a3ffe0b35ef213c8384d4e0f"
	if r.Key.String() != key || hex.EncodeToString(r.Signature) != signature {
		t.Errorf("got key %s and signature %x, want %s and %s", r.Key, r.Signature, key, signature)
	}
	if err := record.Check(overlay.Native, r, now); err != nil {
		t.Errorf("got %v, want it accepted", err)
	}
}

// TestImmutable changes the value or the key.
//
// conforms: kad 39
func TestImmutable(t *testing.T) {
	r, err := record.Immutable([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := record.Check(overlay.Native, r, now); err != nil {
		t.Errorf("got %v, want it accepted", err)
	}
	for name, c := range map[string]*overlay.Record{
		"another value": changed(r, func(r *overlay.Record) { r.Value[4] = 'a' }),
		"no value":      changed(r, func(r *overlay.Record) { r.Value = nil }),
		"another key":   changed(r, func(r *overlay.Record) { r.Key[31] ^= 1 }),
	} {
		err := record.Check(overlay.Native, c, now)
		if !errors.Is(err, record.ErrMismatch) || record.StatusOf(err) != overlay.BadSignature || !record.Violation(err) {
			t.Errorf("%s: got %v, want ErrMismatch, which is a violation", name, err)
		}
	}
}

// TestForgedRecords changes each field of a signed record.
//
// conforms: kad 40, 43
func TestForgedRecords(t *testing.T) {
	r := signed(t, "profile", "hello", 7)
	other := signed(t, "profile", "hello", 8)
	for name, c := range map[string]struct {
		r    *overlay.Record
		want error
	}{
		"value":           {changed(r, func(r *overlay.Record) { r.Value[0]++ }), record.ErrBadSignature},
		"longer value":    {changed(r, func(r *overlay.Record) { r.Value = append(r.Value, 0) }), record.ErrBadSignature},
		"seq":             {changed(r, func(r *overlay.Record) { r.Seq++ }), record.ErrBadSignature},
		"expires":         {changed(r, func(r *overlay.Record) { r.Expires++ }), record.ErrBadSignature},
		"tombstone":       {changed(r, func(r *overlay.Record) { r.Flags, r.Value = 1, nil }), record.ErrBadSignature},
		"signature":       {changed(r, func(r *overlay.Record) { r.Signature[0]++ }), record.ErrBadSignature},
		"other signature": {changed(r, func(r *overlay.Record) { r.Signature = other.Signature }), record.ErrBadSignature},
		"no signature":    {changed(r, func(r *overlay.Record) { r.Signature = nil }), record.ErrBadSignature},
		"63 bytes":        {changed(r, func(r *overlay.Record) { r.Signature = r.Signature[:63] }), record.ErrBadSignature},
		"65 bytes":        {changed(r, func(r *overlay.Record) { r.Signature = append(r.Signature, 0) }), record.ErrBadSignature},
		"salt":            {changed(r, func(r *overlay.Record) { r.Salt[0]++ }), record.ErrMismatch},
		"key":             {changed(r, func(r *overlay.Record) { r.Key[0]++ }), record.ErrMismatch},
		"public key":      {changed(r, func(r *overlay.Record) { r.PublicKey = signer(9).Public().(ed25519.PublicKey) }), record.ErrMismatch},
		"short key":       {changed(r, func(r *overlay.Record) { r.PublicKey = r.PublicKey[:31] }), record.ErrBadSignature},
		"no public key":   {changed(r, func(r *overlay.Record) { r.PublicKey = nil }), record.ErrBadSignature},
		"unknown flag":    {resigned(r, func(r *overlay.Record) { r.Flags = 2 }), record.ErrBadSignature},
		"unknown flags":   {resigned(r, func(r *overlay.Record) { r.Flags, r.Value = 0x81, nil }), record.ErrBadSignature},
		"algorithm 0":     {resigned(r, func(r *overlay.Record) { r.Alg = 0 }), record.ErrAlgorithm},
		"algorithm 2":     {resigned(r, func(r *overlay.Record) { r.Alg = 2 }), record.ErrAlgorithm},
		"full tombstone":  {resigned(r, func(r *overlay.Record) { r.Flags = 1 }), record.ErrFields},
	} {
		if err := record.Check(overlay.Native, c.r, now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if err := record.Check(overlay.Native, resigned(r, func(r *overlay.Record) { r.Flags, r.Value = 1, nil }), now); err != nil {
		t.Errorf("a tombstone: got %v, want it accepted", err)
	}
}

// groupOrder is the order of Ed25519's group.
var groupOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func reversed(b []byte) []byte {
	c := make([]byte, 32)
	for i, v := range b {
		c[31-i] = v
	}
	return c
}

// TestMalleableSignature adds the order of the group to the number in a signature, which
// some verifiers take for the same signature.
//
// conforms: kad 40
func TestMalleableSignature(t *testing.T) {
	r := changed(signed(t, "", "hello", 1), func(r *overlay.Record) {
		s := new(big.Int).SetBytes(reversed(r.Signature[32:]))
		copy(r.Signature[32:], reversed(s.Add(s, groupOrder).FillBytes(make([]byte, 32))))
	})
	if err := record.Check(overlay.Native, r, now); !errors.Is(err, record.ErrBadSignature) {
		t.Errorf("got %v, want ErrBadSignature", err)
	}
}

// TestKeysWrittenInAnotherWay signs for the neutral point of the curve, for which anybody
// can. Package ed25519 verifies it under each of the ways to write that point; only the
// canonical one is taken.
//
// conforms: kad 40
func TestKeysWrittenInAnotherWay(t *testing.T) {
	// For the neutral point, S·B = R is all that a signature has to satisfy: R is a public
	// key, and S its secret.
	secret := sha512.Sum512(signer(3).Seed())
	secret[0] &= 248
	secret[31] = secret[31]&63 | 64
	s := new(big.Int).SetBytes(reversed(secret[:32]))
	signature := append(bytes.Clone(signer(3).Public().(ed25519.PublicKey)), reversed(s.Mod(s, groupOrder).FillBytes(make([]byte, 32)))...)

	ff := bytes.Repeat([]byte{0xff}, 30)
	for name, c := range map[string]struct {
		key  []byte
		want error
	}{
		"1":               {append([]byte{1}, make([]byte, 31)...), nil},
		"1 with a sign":   {append(append([]byte{1}, make([]byte, 30)...), 0x80), record.ErrBadSignature},
		"the prime and 1": {append(append([]byte{0xee}, ff...), 0x7f), record.ErrBadSignature},
		"… with a sign":   {append(append([]byte{0xee}, ff...), 0xff), record.ErrBadSignature},
	} {
		r := signed(t, "", "hello", 1)
		r.PublicKey = c.key
		r.Key, r.Signature = overlay.MutableKey(1, c.key, nil), signature
		digest := r.Digest()
		if !ed25519.Verify(c.key, digest[:], signature) {
			t.Fatalf("%s: does not verify, so the test proves nothing", name)
		}
		if err := record.Check(overlay.Native, r, now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestExpiryOfARecord checks records around both ends of what is allowed, under clocks
// that were set, and under one before 1970.
//
// conforms: kad 40
func TestExpiryOfARecord(t *testing.T) {
	limit := record.MaxLife + record.ClockSkew
	for _, c := range []struct {
		expires, clock time.Duration // from now
		want           error
	}{
		{time.Second, 0, nil},
		{0, 0, record.ErrExpired},
		{-time.Second, 0, record.ErrExpired},
		{limit, 0, nil},
		{limit + time.Second, 0, record.ErrTooLong},
		{time.Hour, 24 * time.Hour, record.ErrExpired},
		{limit, -time.Second, record.ErrTooLong},
		{time.Hour, -24 * time.Hour, nil},
		{time.Hour, -24 * 365 * 100 * time.Hour, record.ErrTooLong},
	} {
		r := resigned(signed(t, "", "hello", 1), func(r *overlay.Record) { r.Expires = uint64(now.Add(c.expires).Unix()) })
		err := record.Check(overlay.Native, r, now.Add(c.clock))
		if !errors.Is(err, c.want) || c.want != nil && record.StatusOf(err) != overlay.Expired {
			t.Errorf("expires in %s on a clock %s ahead: got %v, want %v", c.expires, c.clock, err, c.want)
		}
		if got := record.Expired(r, now.Add(c.clock)); got != (c.want == record.ErrExpired) {
			t.Errorf("expires in %s on a clock %s ahead: got expired %t", c.expires, c.clock, got)
		}
	}
	r := resigned(signed(t, "", "hello", 1), func(r *overlay.Record) { r.Expires = 1<<64 - 1 })
	if err := record.Check(overlay.Native, r, now); !errors.Is(err, record.ErrTooLong) {
		t.Errorf("expires at the end of time: got %v, want ErrTooLong", err)
	}
	immutable, err := record.Immutable(nil)
	if err != nil || record.Expired(immutable, now) {
		t.Errorf("an immutable value: got it expired, or %v", err)
	}
}

// TestLimits checks records of the largest sizes, and of one byte more.
//
// conforms: kad 43
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		value, salt int
		fits        bool
	}{{record.MaxValue, record.MaxSalt, true}, {record.MaxValue + 1, 0, false}, {0, record.MaxSalt + 1, false}} {
		r := resigned(signed(t, "", "", 1), func(r *overlay.Record) { r.Value, r.Salt = make([]byte, c.value), make([]byte, c.salt) })
		err := record.Check(overlay.Native, r, now)
		var large *overlay.ValueTooLargeError
		if (err == nil) != c.fits || err != nil && (!errors.As(err, &large) || record.StatusOf(err) != overlay.TooLarge) {
			t.Errorf("value of %d and salt of %d bytes: got %v", c.value, c.salt, err)
		}
		_, err = record.Sign(signer(0), record.Content{Value: r.Value, Salt: r.Salt, Expires: now.Add(time.Hour)}, now)
		if (err == nil) != c.fits {
			t.Errorf("signing a value of %d and a salt of %d bytes: got %v", c.value, c.salt, err)
		}
	}
	if _, err := record.Immutable(make([]byte, record.MaxValue)); err != nil {
		t.Errorf("the longest immutable value: got %v", err)
	}
	_, err := record.Immutable(make([]byte, record.MaxValue+1))
	var large *overlay.ValueTooLargeError
	if !errors.As(err, &large) || large.Max != record.MaxValue {
		t.Errorf("an immutable value of one byte more: got %v, want an error that names the limit", err)
	}
}

// TestKinds checks which overlay holds which kind of record, with which fields.
func TestKinds(t *testing.T) {
	opaque := &overlay.Record{Kind: overlay.Opaque, Key: overlay.ID{1}, Value: make([]byte, 60_000)}
	immutable, err := record.Immutable([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		overlay overlay.Overlay
		r       *overlay.Record
		want    error
	}{
		"opaque in seed":       {overlay.Seed, opaque, nil},
		"opaque in native":     {overlay.Native, opaque, record.ErrKind},
		"immutable in seed":    {overlay.Seed, immutable, record.ErrKind},
		"mutable in seed":      {overlay.Seed, signed(t, "", "x", 1), record.ErrKind},
		"kind 3":               {overlay.Native, &overlay.Record{Kind: 3}, record.ErrKind},
		"kind 255":             {overlay.Native, &overlay.Record{Kind: 255}, record.ErrKind},
		"immutable with seq":   {overlay.Native, changed(immutable, func(r *overlay.Record) { r.Seq = 1 }), record.ErrFields},
		"immutable with a key": {overlay.Native, changed(immutable, func(r *overlay.Record) { r.PublicKey = make([]byte, 32) }), record.ErrFields},
		"immutable with flags": {overlay.Native, changed(immutable, func(r *overlay.Record) { r.Flags = 1 }), record.ErrFields},
		"opaque with an end":   {overlay.Seed, &overlay.Record{Expires: 1}, record.ErrFields},
	} {
		err := record.Check(c.overlay, c.r, now)
		if !errors.Is(err, c.want) || c.want != nil && record.StatusOf(err) != overlay.BadRequest {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if c.want != nil && record.Violation(err) {
			t.Errorf("%s: got a violation, want none", name)
		}
	}
	if got := record.StatusOf(record.ErrAlgorithm); got != overlay.Unsupported {
		t.Errorf("another algorithm: got %v, want unsupported", got)
	}
	if got := record.StatusOf(nil); got != overlay.OK {
		t.Errorf("no error: got %v, want ok", got)
	}
}

// brokenSigner has a key, and signs nothing.
type brokenSigner struct{ ed25519.PrivateKey }

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrClosedPipe
}

func TestSignersThatAreRefused(t *testing.T) {
	content := record.Content{Expires: now.Add(time.Hour)}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Sign(other, content, now); !errors.Is(err, record.ErrAlgorithm) {
		t.Errorf("a key of another kind: got %v, want ErrAlgorithm", err)
	}
	if _, err := record.Sign(brokenSigner{signer(0)}, content, now); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a signer that fails: got %v, want its error", err)
	}
	for expires, want := range map[time.Duration]error{0: record.ErrExpired, 8 * 24 * time.Hour: record.ErrTooLong} {
		if _, err := record.Sign(signer(0), record.Content{Expires: now.Add(expires)}, now); !errors.Is(err, want) {
			t.Errorf("expires in %s: got %v, want %v", expires, err, want)
		}
	}
}
