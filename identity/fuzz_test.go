package identity_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gtank/ristretto255"

	"github.com/gamelan-p2p/gamelan/identity"
)

// FuzzPublicKey checks that exactly the canonical points other than the
// identity are keys, in the eyes of the second library.
func FuzzPublicKey(f *testing.F) {
	f.Add(unhex(f, publicText))
	f.Add(make([]byte, 32))
	f.Add(unhex(f, "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := ristretto255.NewElement().Decode(b) == nil && !bytes.Equal(b, make([]byte, 32))
		k, err := identity.PublicKeyFromBytes(b)
		if got := err == nil; got != want {
			t.Fatalf("%x: got %v, want %v", b, err, want)
		}
		if err != nil {
			return
		}
		back, err := identity.ParsePublicKey(strings.ToUpper(k.String()))
		if err != nil || back != k || !bytes.Equal(k[:], b) {
			t.Fatalf("%x: got %v, %v back", b, back, err)
		}
	})
}

func FuzzParseNodeID(f *testing.F) {
	f.Add(nodeText)
	f.Add("")
	f.Add(strings.ToUpper(nodeText))
	f.Add("zz" + nodeText[2:])
	f.Fuzz(func(t *testing.T, s string) {
		n, err := identity.ParseNodeID(s)
		if err != nil {
			if !n.IsZero() {
				t.Fatalf("%q: got %v with an error", s, n)
			}
			return
		}
		if got := n.String(); got != strings.ToLower(s) {
			t.Fatalf("got %s, want %s", got, s)
		}
	})
}
