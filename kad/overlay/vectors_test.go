package overlay_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// sequence returns the bytes from, from+1, …, n of them.
func sequence(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// TestDigestVectors computes the known digests of kad B2. The public key is an input of
// the hash, and no point of the curve.
//
// conforms: kad 16
func TestDigestVectors(t *testing.T) {
	pk := identity.PublicKey(sequence(0, 32))
	signer := ed25519.NewKeyFromSeed(sequence(0, 32))
	public := signer.Public().(ed25519.PublicKey)
	if got, want := hex.EncodeToString(public), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"; got != want {
		t.Fatalf("Ed25519 key: got %s, want %s", got, want)
	}
	profile := overlay.MutableKey(overlay.AlgEd25519, public, []byte("profile"))
	digest := overlay.SignedDigest(profile, 0, 7, 1_800_000_000, []byte("hello"))
	for _, c := range []struct {
		name string
		got  overlay.ID
		want string
	}{
		{"node", overlay.NodeID(pk), "f8d68776e6de71ee981bd82ed94415744218693f3ee6b591a1483d8594e7e792"},
		{"immutable hello", overlay.ImmutableKey([]byte("hello")), "6db6286c37fcb002beb2e84629e23d710d51393c24a773a48ced931671f375b7"},
		{"immutable, empty", overlay.ImmutableKey(nil), "d339519f3141e826eeb66de6b7fea670b3270eeda509c51927c028bd463b7111"},
		{"mutable", profile, "d4ff5619602bd20d193a7b22971ba2e53ff08965c235c03d95d7f57c387572c8"},
		{"mutable, no salt", overlay.MutableKey(overlay.AlgEd25519, public, nil), "83b3e16d57950c2ef6a3a613daa83b5d858e228dcfc75fddd9ff301f2e46d144"},
		{"digest", digest, "3fd0d9f58f573f9a8aa9fb87f36cb2b32f62dd09a0ad07488b3daa4b9a9576c2"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	const signature = "9d51347090cbc5f5a55aa8ccc3faebc940ef483efa874803789d732f3bd276832bbe5a0083195d59365247a3e8d2badeb746d6d6a3ffe0b35ef213c8384d4e0f"
	if got := hex.EncodeToString(ed25519.Sign(signer, digest[:])); got != signature {
		t.Errorf("signature: got %s, want %s", got, signature)
	}
}

// TestDigestParts joins parts in different ways, which must make different digests, and
// hashes a part that is longer than the buffer on the stack.
func TestDigestParts(t *testing.T) {
	seen := map[overlay.ID]string{}
	for name, d := range map[string]overlay.ID{
		"ab, c":   overlay.Digest("x", []byte("ab"), []byte("c")),
		"a, bc":   overlay.Digest("x", []byte("a"), []byte("bc")),
		"abc":     overlay.Digest("x", []byte("abc")),
		"abc, -":  overlay.Digest("x", []byte("abc"), nil),
		"domain":  overlay.Digest("xa", []byte("bc")),
		"long":    overlay.Digest("x", bytes.Repeat([]byte("a"), 8192)),
		"longer":  overlay.Digest("x", bytes.Repeat([]byte("a"), 8193)),
		"nothing": overlay.Digest("x"),
	} {
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q: got the same digest, want different ones", name, other)
		}
		seen[d] = name
	}
}

// TestSHA1 computes the two known keys of kad A2, which lie at the beginning of an id.
func TestSHA1(t *testing.T) {
	for name, want := range map[string]string{
		"":    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"key": "a62f2225bf70bfaccbc7f1ef2a397836717377de",
	} {
		key, err := overlay.HashKey(overlay.SHA1, []byte(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Text(20); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
		if got, want := key.String(), want+"000000000000000000000000"; got != want {
			t.Errorf("%q: got %s, want zeros behind the hash: %s", name, got, want)
		}
	}
}

type fixedHasher struct {
	sum  []byte
	size int
}

func (h fixedHasher) Hash([]byte) []byte { return h.sum }
func (h fixedHasher) Size() int          { return h.size }

func TestHashersThatAreRefused(t *testing.T) {
	for name, h := range map[string]overlay.Hasher{
		"none":     nil,
		"empty":    fixedHasher{nil, 0},
		"negative": fixedHasher{nil, -1},
		"long":     fixedHasher{make([]byte, 33), 33},
		"lies":     fixedHasher{make([]byte, 19), 20},
	} {
		if err := overlay.CheckHasher(h); !isLength(err) {
			t.Errorf("%s: got %v, want ErrIDLength", name, err)
		}
	}
	for _, h := range []overlay.Hasher{overlay.SHA1, fixedHasher{make([]byte, 1), 1}, fixedHasher{make([]byte, 32), 32}} {
		if err := overlay.CheckHasher(h); err != nil {
			t.Errorf("%d bytes: got %v, want it accepted", h.Size(), err)
		}
	}
}
