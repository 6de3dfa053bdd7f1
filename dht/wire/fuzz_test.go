package wire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// seeds adds every recorded envelope.
func seeds(f *testing.F) {
	names, err := filepath.Glob("../../tests/vectors/dht/*.json")
	if err != nil || len(names) == 0 {
		f.Fatal(err, len(names))
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var v struct{ Bytes map[string]any }
		if err := json.Unmarshal(b, &v); err != nil {
			f.Fatal(err)
		}
		for _, value := range v.Bytes {
			if s, ok := value.(string); ok {
				f.Add(unhex(f, s))
			}
		}
	}
}

// FuzzEnvelope encodes every envelope that decodes: that must decode to the same
// envelope, whose signature verifies if it did before.
func FuzzEnvelope(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := wire.DecodeEnvelope(b)
		if err != nil {
			return
		}
		if kind, _ := wire.PeekType(b); kind != e.Header.Type {
			t.Fatalf("got the type %v at a glance, want %v", kind, e.Header.Type)
		}
		canonical := e.Append(nil)
		again, err := wire.DecodeEnvelope(canonical)
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		if again.Binding() != e.Binding() || again.DedupHash() != e.DedupHash() || !bytes.Equal(again.Append(nil), canonical) {
			t.Fatal("written again it is another message")
		}
		signer, err := e.VerifyOrigin()
		if _, err2 := again.VerifyOrigin(); (err == nil) != (err2 == nil) {
			t.Fatalf("signature: got %v, then %v", err, err2)
		}
		if err == nil && e.CheckSemantics() == nil && e.Header.Encrypted() {
			e.Open(repeated(t, 2), signer)
		}
		bodies(t, e.Body)
	})
}

func FuzzBody(f *testing.F) {
	f.Add(unhex(f, pingBody))
	for _, s := range []string{"", "0a00", "0a0410e7241832", "0a0a0a0810848688081832", "08011007", "1007", "08021007"} {
		f.Add(unhex(f, s))
	}
	s, err := wire.Sign(repeated(f, 2), [32]byte{}, bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Append(nil))
	f.Fuzz(bodies)
}

// bodies decodes b as each kind of content.
func bodies(t *testing.T, b []byte) {
	again := func(what string, first, second []byte, err error) {
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s: got %x, then %x, %v", what, first, second, err)
		}
	}
	parts, err := wire.DecodeBody(b)
	if err != nil {
		parts = nil
	}
	for _, p := range append(parts, b) {
		if a, err := wire.DecodeAnnouncement(p); err == nil {
			a.Claim()
			first := a.Append(nil)
			a, err = wire.DecodeAnnouncement(first)
			again("announcement", first, a.Append(nil), err)
		}
		if r, err := wire.DecodeStoredRequest(p); err == nil {
			first := r.Append(nil)
			r, err = wire.DecodeStoredRequest(first)
			again("request", first, r.Append(nil), err)
		}
		if r, err := wire.DecodeStoredResponse(p); err == nil {
			for i := range r.Messages {
				r.Messages[i].Envelope()
			}
		}
		if r, err := wire.DecodeGetPeers(p); err == nil {
			first := r.Append(nil)
			r, err = wire.DecodeGetPeers(first)
			again("peers", first, r.Append(nil), err)
		}
		if r, err := wire.DecodeGetCloserPeers(p); err == nil {
			first := r.Append(nil)
			r, err = wire.DecodeGetCloserPeers(first)
			again("closer peers", first, r.Append(nil), err)
		}
		if i, err := wire.DecodePeerInfo(p); err == nil {
			i.SignedClaims()
			first := i.Append(nil)
			i, err = wire.DecodePeerInfo(first)
			again("peer", first, i.Append(nil), err)
		}
		if h, err := wire.DecodeDomainHeader(p); err == nil {
			first := h.Append(nil)
			h, err = wire.DecodeDomainHeader(first)
			again("header", first, h.Append(nil), err)
		}
		if ping, err := wire.DecodePing(p); err == nil {
			first := ping.Append(nil)
			ping, err = wire.DecodePing(first)
			again("ping", first, ping.Append(nil), err)
		}
		if s, err := wire.DecodeSignature(p); err == nil {
			first := s.Append(nil)
			valid := s.Verify([32]byte{})
			s, err = wire.DecodeSignature(first)
			again("signature", first, s.Append(nil), err)
			if again := s.Verify([32]byte{}); (valid == nil) != (again == nil) {
				t.Fatalf("signature: got %v, then %v", valid, again)
			}
		}
	}
	wire.SplitDomain(parts)
}
