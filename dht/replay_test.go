package dht_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht"
)

// rewritten are encodings of one signature that all verify.
func rewritten(signature []byte) map[string][]byte {
	first, second, third := signature[:34], signature[34:68], signature[68:]
	number := protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 7)
	group := protowire.AppendTag(protowire.AppendTag(nil, 9, protowire.StartGroupType), 9, protowire.EndGroupType)
	long := slices.Concat([]byte{first[0], 32 | 0x80, 0}, first[2:], second, third) // a length that takes two bytes
	return map[string][]byte{
		"an unknown number behind": slices.Concat(signature, number),
		"an unknown group before":  slices.Concat(group, signature),
		"another order":            slices.Concat(third, first, second),
		"a field twice":            slices.Concat(first, signature),
		"a wrong field before":     slices.Concat(protowire.AppendBytes([]byte{first[0]}, make([]byte, 32)), signature),
		"a long length":            long,
	}
}

// TestReplayByReencoding: whoever writes a captured signature in another way has
// made a copy, alone and among messages that are verified together. It is passed on
// as it came.
//
// conforms: dht 46
func TestReplayByReencoding(t *testing.T) {
	for _, draft := range []dht.Draft{signed(t), sealedFor(t, us), sealedFor(t, other)} {
		e := compose(t, draft)
		for name, signature := range rewritten(e.Header.Signature) {
			n := newNode(t, nil)
			again := e
			again.Header.Signature = signature
			if m, v := n.handle(again); v.Err != nil || m.Hash != e.DedupHash() { // itself the first to come
				t.Errorf("%s, first: got %v, hash %v, want that of the message", name, v, m.Hash)
			}
			if _, v := n.handle(e); v.Reason != dht.Duplicate {
				t.Errorf("%s, then as it was written: got %v, want a duplicate", name, v)
			}
			n = newNode(t, nil)
			n.handle(e)
			body := again.Append(nil)
			if m, v := n.bytes(body); v.Reason != dht.Duplicate || m.Copies != 2 || v.Violation != nil {
				t.Errorf("%s: got %v, copy %d, want a duplicate", name, v, m.Copies)
			}
			source := repeated(t, relay).PublicKey()
			for i, p := range n.chain.Prove(n.now, source.NodeID(), rand.Reader, [][]byte{body, e.Append(nil)}) {
				_, v := n.chain.Handle(n.now, n.now, dht.Frame{Source: source.NodeID(), Key: source, Body: body, Proof: p})
				if v.Reason != dht.Duplicate {
					t.Errorf("%s, proof %d: got %v, want a duplicate", name, i, v)
				}
			}
			if got := decode(t, body); !bytes.Equal(got.Append(nil), body) || !bytes.Equal(got.Header.Signature, signature) {
				t.Errorf("%s: got another message when it is passed on, want it unchanged", name)
			}
		}
	}
}

// Another signature is another message, and bytes that are no signature are hashed
// as they are.
func TestDedupHashTellsSignaturesApart(t *testing.T) {
	e := compose(t, signed(t))
	changed := bytes.Clone(e.Header.Signature)
	changed[101] ^= 1
	seen := map[dht.Hash]string{}
	for name, signature := range map[string][]byte{
		"the signature": e.Header.Signature, "another scalar": changed, "none": nil, "three bytes": {1, 2, 3},
		"cut short": e.Header.Signature[:101], "another tag": append([]byte{0x12}, e.Header.Signature[1:]...),
	} {
		h := dht.DedupHash(signature, e.Body)
		if before, ok := seen[h]; ok {
			t.Errorf("got one hash for %q and %q, want two", before, name)
		}
		seen[h] = name
	}
}

// TestFieldsAreCounted: every decoder stops at more fields than honest messages
// have, wherever they are.
//
// conforms: V 20
func TestFieldsAreCounted(t *testing.T) {
	field := func(number protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
	}
	major := []byte{0x08, 2} // field 1, in every message
	anybody := []byte{0x18, 1}
	nothing := []byte{0x78, 1} // field 15, which no message has
	header := func(pieces int, piece []byte) []byte {
		return append(bytes.Repeat(field(1, piece), pieces), field(1, append(major, anybody...))...)
	}
	inGroup := func(n int) []byte {
		return append(append([]byte{0x7b}, bytes.Repeat(nothing, n)...), 0x7c)
	}
	envelope := func(b []byte) error { _, err := dht.DecodeEnvelope(b); return err }
	body := func(b []byte) error { _, err := dht.DecodeBody(b); return err }
	domain := func(b []byte) error { _, err := dht.DecodeDomainHeader(b); return err }
	pinged := func(b []byte) error { _, err := dht.DecodePing(b); return err }
	announced := func(b []byte) error { _, err := dht.DecodeAnnouncement(b); return err }
	request := func(b []byte) error { _, err := dht.DecodeStoredRequest(b); return err }
	response := func(b []byte) error { _, err := dht.DecodeStoredResponse(b); return err }
	peers := func(b []byte) error { _, err := dht.DecodeGetPeers(b); return err }
	closer := func(b []byte) error { _, err := dht.DecodeGetCloserPeers(b); return err }
	info := func(b []byte) error { _, err := dht.DecodePeerInfo(b); return err }
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		b      []byte
		ok     bool
	}{
		{"header in 500 pieces", envelope, header(500, major), true},
		{"header in 512 pieces", envelope, header(512, major), false},
		{"1,000 unknown fields of a header", envelope, header(1, bytes.Repeat(nothing, 1000)), true},
		{"1,024 unknown fields of a header", envelope, header(1, bytes.Repeat(nothing, 1024)), false},
		{"1,024 unknown fields of an envelope", envelope, append(bytes.Repeat(nothing, 1024), header(0, nil)...), false},
		{"1,024 fields in a group", envelope, append(inGroup(1024), header(0, nil)...), false},
		{"16,000 bytes of header", envelope, header(1, field(15, make([]byte, 16_000))), true},
		{"16,384 bytes of header", envelope, header(1, field(15, make([]byte, 16_380))), false},
		{"two million pieces", envelope, header(2_000_000, major), false},
		{"body", body, bytes.Repeat(nothing, 1024), true},
		{"body", body, bytes.Repeat(nothing, 1025), false},
		{"message header", domain, bytes.Repeat(major, 1024), true},
		{"message header", domain, bytes.Repeat(major, 1025), false},
		{"ping", pinged, bytes.Repeat([]byte{0x10, 1}, 2049), false},
		{"announcement", announced, bytes.Repeat(nothing, 2049), false},
		{"pieces of an announcement's signature", announced, bytes.Repeat(field(5, major), 1024), true},
		{"pieces of an announcement's signature", announced, bytes.Repeat(field(5, major), 1025), false},
		{"request", request, bytes.Repeat(major, 1025), false},
		{"response", response, bytes.Repeat([]byte{0x10, 1}, 32*1024), true},
		{"response", response, bytes.Repeat([]byte{0x10, 1}, 32*1024+1), false},
		{"pieces of a stored header", response, field(1, bytes.Repeat(field(3, major), 16*1024)), false},
		{"request for peers", peers, bytes.Repeat(major, 1025), false},
		{"request for closer peers", closer, bytes.Repeat(major, 2049), false},
		{"peer", info, field(1, bytes.Repeat(nothing, 8*65_536)), false},
	} {
		if err := c.decode(c.b); (err == nil) != c.ok {
			t.Errorf("%s of %d bytes: got %v, want accepted %v", c.name, len(c.b), err, c.ok)
		}
	}
}

// TestHeaderInPieces: what a reader of the format adds together is still read.
func TestHeaderInPieces(t *testing.T) {
	e := compose(t, signed(t))
	whole := e.Append(nil)
	h := e.Header.Append(nil)
	var pieces []byte
	for rest := h; len(rest) > 0; {
		_, _, n := protowire.ConsumeField(rest)
		pieces = append(append(pieces, 0x0a), appendLength(rest[:n])...)
		rest = rest[n:]
	}
	pieces = append(append(pieces, 0x12), appendLength(e.Body)...)
	if got := decode(t, pieces); !bytes.Equal(got.Append(nil), whole) {
		t.Errorf("got %+v, want the message", got)
	}
}
