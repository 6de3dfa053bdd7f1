package record_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

var now = time.Unix(1_799_999_000, 0)

// signer returns the key whose seed is n, n+1, ….
func signer(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = n + byte(i)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// signed returns a record that key 0 signed, valid for an hour.
func signed(t testing.TB, salt, value string, seq uint64) *overlay.Record {
	t.Helper()
	r, err := record.Sign(signer(0), record.Content{Salt: []byte(salt), Value: []byte(value), Seq: seq, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resigned returns a copy of r with a change, its key and its signature made anew.
func resigned(r *overlay.Record, change func(*overlay.Record)) *overlay.Record {
	c := *r
	change(&c)
	c.Key = overlay.MutableKey(c.Alg, c.PublicKey, c.Salt)
	digest := c.Digest()
	c.Signature = ed25519.Sign(signer(0), digest[:])
	return &c
}

// changed returns a copy of r with a change, for which nobody signed.
func changed(r *overlay.Record, change func(*overlay.Record)) *overlay.Record {
	c := *r
	c.Value, c.Salt = bytes.Clone(r.Value), bytes.Clone(r.Salt)
	c.Signature, c.PublicKey = bytes.Clone(r.Signature), bytes.Clone(r.PublicKey)
	change(&c)
	return &c
}
