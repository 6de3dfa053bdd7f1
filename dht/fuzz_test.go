package dht_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
)

// seeds adds every recorded envelope.
func seeds(f *testing.F) {
	names, err := filepath.Glob("../tests/vectors/dht/*.json")
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

// What decodes is written in a form that decodes to the same, and whose
// signature holds or does not as before.
func FuzzEnvelope(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := dht.DecodeEnvelope(b)
		if err != nil {
			return
		}
		canonical := e.Append(nil)
		again, err := dht.DecodeEnvelope(canonical)
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
	s, err := dht.Sign(repeated(f, 2), [32]byte{}, bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Append(nil))
	r := dht.DedupRecord{Hits: 1, First: time.Unix(1, 0)}
	f.Add(r.Append(nil))
	f.Fuzz(bodies)
}

// bodies reads b as every message there is.
func bodies(t *testing.T, b []byte) {
	again := func(what string, first, second []byte, err error) {
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s: got %x, then %x, %v", what, first, second, err)
		}
	}
	parts, err := dht.DecodeBody(b)
	if err != nil {
		parts = nil
	}
	for _, p := range append(parts, b) {
		if a, err := dht.DecodeAnnouncement(p); err == nil {
			a.Claim()
			first := a.Append(nil)
			a, err = dht.DecodeAnnouncement(first)
			again("announcement", first, a.Append(nil), err)
		}
		if r, err := dht.DecodeStoredRequest(p); err == nil {
			first := r.Append(nil)
			r, err = dht.DecodeStoredRequest(first)
			again("request", first, r.Append(nil), err)
		}
		if r, err := dht.DecodeStoredResponse(p); err == nil {
			for i := range r.Messages {
				r.Messages[i].Envelope()
			}
		}
		if r, err := dht.DecodeGetPeers(p); err == nil {
			first := r.Append(nil)
			r, err = dht.DecodeGetPeers(first)
			again("peers", first, r.Append(nil), err)
		}
		if r, err := dht.DecodeGetCloserPeers(p); err == nil {
			first := r.Append(nil)
			r, err = dht.DecodeGetCloserPeers(first)
			again("closer peers", first, r.Append(nil), err)
		}
		if i, err := dht.DecodePeerInfo(p); err == nil {
			i.SignedClaims()
			first := i.Append(nil)
			i, err = dht.DecodePeerInfo(first)
			again("peer", first, i.Append(nil), err)
		}
		if h, err := dht.DecodeDomainHeader(p); err == nil {
			first := h.Append(nil)
			h, err = dht.DecodeDomainHeader(first)
			again("header", first, h.Append(nil), err)
		}
		if r, err := dht.DecodeDedupRecord(dht.Hash{}, p); err == nil && !bytes.Equal(r.Append(nil), p) {
			t.Fatalf("record: got %x, then %x", p, r.Append(nil))
		}
		if ping, err := dht.DecodePing(p); err == nil {
			first := ping.Append(nil)
			ping, err = dht.DecodePing(first)
			again("ping", first, ping.Append(nil), err)
		}
		if s, err := dht.DecodeSignature(p); err == nil {
			first := s.Append(nil)
			valid := s.Verify([32]byte{})
			s, err = dht.DecodeSignature(first)
			again("signature", first, s.Append(nil), err)
			if again := s.Verify([32]byte{}); (valid == nil) != (again == nil) {
				t.Fatalf("signature: got %v, then %v", valid, again)
			}
		}
	}
	dht.SplitDomain(parts)
}

// The chain has a verdict for every input.
func FuzzInbound(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newNode(t, nil)
		for range 2 {
			if _, v := n.bytes(b); v.Reason == 0 {
				t.Fatalf("got no verdict: %+v", v)
			}
		}
	})
}
