package wire_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// TestFieldsAreCounted: every decoder refuses messages with more fields than honest
// ones have, on any level.
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
	envelope := func(b []byte) error { _, err := wire.DecodeEnvelope(b); return err }
	body := func(b []byte) error { _, err := wire.DecodeBody(b); return err }
	domain := func(b []byte) error { _, err := wire.DecodeDomainHeader(b); return err }
	pinged := func(b []byte) error { _, err := wire.DecodePing(b); return err }
	announced := func(b []byte) error { _, err := wire.DecodeAnnouncement(b); return err }
	request := func(b []byte) error { _, err := wire.DecodeStoredRequest(b); return err }
	response := func(b []byte) error { _, err := wire.DecodeStoredResponse(b); return err }
	peers := func(b []byte) error { _, err := wire.DecodeGetPeers(b); return err }
	closer := func(b []byte) error { _, err := wire.DecodeGetCloserPeers(b); return err }
	info := func(b []byte) error { _, err := wire.DecodePeerInfo(b); return err }
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

// TestHeaderInPieces: a header in several parts decodes as one.
func TestHeaderInPieces(t *testing.T) {
	e := compose(t, wire.Draft{Body: ping(t), Sign: true})
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
