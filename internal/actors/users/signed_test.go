package users

import (
	"encoding/binary"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestSignedIsBounded: a claim that was forgotten is no other node's.
func TestSignedIsBounded(t *testing.T) {
	of := func(n int) (s identity.Signature) {
		binary.BigEndian.PutUint64(s.Nonce[:], uint64(n))
		s.UpdatedAt = int64(1000 + n)
		return s
	}
	var s signed
	for n := range 3 * maxSigned {
		s.add(of(n))
	}
	for n := range 3 * maxSigned {
		if !s.has(of(n)) {
			t.Fatalf("claim %d is another node's", n)
		}
	}
	if s.has(of(3*maxSigned)) || s.all.Len() > maxSigned {
		t.Errorf("got a claim that was not signed, or %d kept", s.all.Len())
	}
	var few signed
	few.add(of(7))
	if !few.has(of(7)) || few.has(of(1)) {
		t.Error("got an older claim that was not signed")
	}
}
