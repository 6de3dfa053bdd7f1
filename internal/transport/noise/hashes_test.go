package noise

import (
	"bytes"
	"encoding"
	"testing"

	flynn "github.com/flynn/noise"
)

// The hash of the handshakes, over one message after another, is BLAKE2b of flynn/noise.
func TestHashStates(t *testing.T) {
	s := &suite{CipherFunc: flynn.CipherChaChaPoly}
	if got, want := s.Name(), flynn.NewCipherSuite(dh{}, flynn.CipherChaChaPoly, flynn.HashBLAKE2b).Name(); !bytes.Equal(got, want) {
		t.Errorf("got name %s, want %s", got, want)
	}
	for message := range 3 {
		s.borrow()
		seen := map[any]bool{}
		for i := range 28 {
			h, want := s.Hash(), flynn.HashBLAKE2b.Hash()
			if seen[h] {
				t.Fatalf("message %d: got state %d twice", message, i)
			}
			seen[h] = true
			text := bytes.Repeat([]byte{byte(i)}, 50*i+message)
			h.Write(text)
			want.Write(text)
			if !bytes.Equal(h.Sum(nil), want.Sum(nil)) {
				t.Errorf("message %d, state %d: got another hash than BLAKE2b", message, i)
			}
		}
		s.giveBack()
	}
}

// TestHashStatesKeepNothing looks for what a key has left in states that go back to the pool:
// they are as new.
func TestHashStatesKeepNothing(t *testing.T) {
	var s hashStates
	state := func() []byte {
		b, err := s.all[0].(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, n := range []int{1, 64, 128, 129, 300} {
		s.next()
		fresh := state()
		s.all[0].Write(bytes.Repeat([]byte("key"), n))
		s.all[0].Sum(nil)
		s.clear()
		if got := state(); !bytes.Equal(got, fresh) {
			t.Errorf("%d bytes: got %x, want %x", 3*n, got, fresh)
		}
	}
}
