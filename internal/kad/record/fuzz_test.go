package record_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// FuzzRecord checks any record, and again, with its own words, what a record that passes
// must be.
func FuzzRecord(f *testing.F) {
	good := signed(f, "profile", "hello", 7)
	f.Add(uint8(overlay.Mutable), good.Key[:], good.Value, good.Alg, good.PublicKey, good.Salt, good.Seq, good.Expires, good.Flags, good.Signature)
	key := overlay.ImmutableKey([]byte("hello"))
	f.Add(uint8(overlay.Immutable), key[:], []byte("hello"), uint8(0), []byte(nil), []byte(nil), uint64(0), uint64(0), uint8(0), []byte(nil))
	f.Add(uint8(overlay.Opaque), key[:20], []byte("hello"), uint8(0), []byte(nil), []byte(nil), uint64(0), uint64(0), uint8(0), []byte(nil))
	f.Fuzz(func(t *testing.T, kind uint8, key, value []byte, alg uint8, public, salt []byte, seq, expires uint64, flags uint8, signature []byte) {
		r := &overlay.Record{Kind: overlay.Kind(kind), Value: value, Alg: alg, PublicKey: public, Salt: salt, Seq: seq, Expires: expires, Flags: flags, Signature: signature}
		copy(r.Key[:], key)
		if record.Check(overlay.Seed, r, now) == nil && (kind != 0 || len(public)+len(salt)+len(signature) > 0) {
			t.Fatalf("got %+v accepted in the overlay Seed", r)
		}
		err := record.Check(overlay.Native, r, now)
		if (err == nil) != (record.StatusOf(err) == overlay.OK) {
			t.Fatalf("got %v with status %v", err, record.StatusOf(err))
		}
		if err != nil {
			return
		}
		digest := r.Digest()
		switch {
		case len(value) > 8192, len(salt) > 64:
			t.Fatal("got too long a record accepted")
		case kind == 1 && r.Key != overlay.ImmutableKey(value):
			t.Fatal("got a value accepted under another key")
		case kind == 2 && !ed25519.Verify(public, digest[:], signature):
			t.Fatal("got a bad signature accepted")
		case kind == 2 && (expires <= uint64(now.Unix()) || expires > uint64(now.Unix())+7*86400+600):
			t.Fatal("got a bad expiry accepted")
		case kind == 0, kind > 2:
			t.Fatal("got an unknown kind accepted")
		}
	})
}
