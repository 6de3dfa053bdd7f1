package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// header returns an envelope with these encoded header fields.
func withHeader(t testing.TB, hexFields string) []byte {
	t.Helper()
	return append(append([]byte{0x0a}, appendLength(unhex(t, hexFields))...), 0x12, 0x00)
}

// conforms: dht 4, 5, 8-10, 35
func TestEnvelopeRefusals(t *testing.T) {
	notAPoint := "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error // nil is none
	}{
		{"empty", nil, wire.ErrEnvelope},
		{"no protobuf", []byte("hello"), wire.ErrEnvelope},
		{"truncated", unhex(t, "0a0c08021801"), wire.ErrEnvelope},
		{"truncated header", withHeader(t, "0802 1801 58"), wire.ErrEnvelope},
		{"header as a number", unhex(t, "0801"), wire.ErrEnvelope},
		{"body as a number", unhex(t, "0a0408021801 1001"), wire.ErrEnvelope},
		{"destination as a number", withHeader(t, "0802 2001"), wire.ErrEnvelope},
		{"version as bytes", withHeader(t, "0a0102 1801"), wire.ErrEnvelope},
		{"no header", unhex(t, "120161"), wire.ErrNoHeader},
		{"empty header", unhex(t, "0a00"), wire.ErrDestination},
		{"no destination", withHeader(t, "0802"), wire.ErrDestination},
		{"short destination", withHeader(t, "0802 22020102"), wire.ErrDestination},
		{"empty destination", withHeader(t, "0802 2200"), wire.ErrDestination},
		{"destination that is no point", withHeader(t, "0802 2220"+notAPoint), wire.ErrDestination},
		{"ephemeral key that is no point", withHeader(t, "0802 1801 3a20"+notAPoint), wire.ErrEphemeralKey},
		{"short ephemeral key", withHeader(t, "0802 1801 3a0101"), wire.ErrEphemeralKey},
		{"version 0", withHeader(t, "1801"), wire.ErrVersion},
		{"version 3", withHeader(t, "0803 1801"), wire.ErrVersion},
		{"type 4", withHeader(t, "0802 1801 4004"), wire.ErrType},
		{"type 19", withHeader(t, "0802 1801 4013"), wire.ErrType},
		{"type 22", withHeader(t, "0802 1801 4016"), wire.ErrType},
		{"type -1", withHeader(t, "0802 1801 40ffffffffffffffffff01"), wire.ErrType},
		{"flag 2", withHeader(t, "0802 1801 5002"), wire.ErrFlags},
		{"flags 1 and 4", withHeader(t, "0802 1801 5005"), wire.ErrFlags},
		// The order in which the reference looks decides which error it is.
		{"everything wrong", withHeader(t, "0803 4004 5002 3a0101"), wire.ErrDestination},
		{"all but the destination wrong", withHeader(t, "0803 1801 4004 5002 3a0101"), wire.ErrEphemeralKey},
		{"version and type wrong", withHeader(t, "0803 1801 4004 5002"), wire.ErrVersion},
		{"type and flags wrong", withHeader(t, "0802 1801 4004 5002"), wire.ErrType},

		{"version 1", withHeader(t, "0801 1801"), nil},
		{"version 2", withHeader(t, "0802 1801"), nil},
		{"unknown is false", withHeader(t, "0802 1800"), nil},
		{"zero destination", withHeader(t, "0802 2220"+hexZeros), nil},
		{"zero ephemeral key", withHeader(t, "0802 1801 3a20"+hexZeros), nil},
		{"empty ephemeral key", withHeader(t, "0802 1801 3a00"), nil},
		{"expiry 2^64-1", withHeader(t, "0802 1801 60ffffffffffffffffff01"), nil},
		{"expiry 0", withHeader(t, "0802 1801 6000"), nil},
		{"both destinations, a bad one first", withHeader(t, "0802 220101 1801"), nil},
		{"header in two pieces", append(unhex(t, "0a020802"), unhex(t, "0a021801")...), nil},
	} {
		_, err := wire.DecodeEnvelope(c.bytes)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

const hexZeros = "0000000000000000000000000000000000000000000000000000000000000000"

func TestTheLastDestinationCounts(t *testing.T) {
	e := decode(t, withHeader(t, "0802 2220"+keyS+"1801"))
	if e.Header.Destination.Known {
		t.Errorf("key first: got %v, want unknown", e.Header.Destination)
	}
	e = decode(t, withHeader(t, "0802 1801 2220"+keyS))
	if e.Header.Destination.String() != keyS {
		t.Errorf("key last: got %v, want %s", e.Header.Destination, keyS)
	}
}

// conforms: dht 12, 38
func TestExpired(t *testing.T) {
	for _, c := range []struct {
		expires uint64
		now     int64
		want    bool
	}{
		{0, 1_700_000_000, false},
		{1_700_000_000, 1_700_000_000, false},
		{1_700_000_000, 1_700_000_001, true},
		{1<<64 - 1, 1<<63 - 1, false},
		{5, -1, false},
	} {
		h := wire.Header{Expires: c.expires}
		if got := h.Expired(c.now); got != c.want {
			t.Errorf("expires %d at %d: got %v, want %v", c.expires, c.now, got, c.want)
		}
	}
}

// conforms: dht 15, 148
func TestTagIsNotSigned(t *testing.T) {
	e := compose(t, wire.Draft{Body: ping(t), Sign: true})
	hash := e.DedupHash()
	e.Header.Tag++
	if _, err := e.VerifyOrigin(); err != nil || e.DedupHash() != hash {
		t.Errorf("got %v, hash %v, want the tag to change nothing", err, e.DedupHash())
	}
}

// Every field that a relay could change breaks the signature.
//
// conforms: dht 6, 40
func TestTamperedMessages(t *testing.T) {
	recipient := repeated(t, 2).PublicKey()
	for _, d := range []wire.Draft{
		{Body: ping(t), Sign: true},
		{Body: ping(t), Destination: wire.To(recipient), EncryptFor: recipient},
	} {
		for name, change := range map[string]func(*wire.Envelope){
			"version":     func(e *wire.Envelope) { e.Header.Version = 1 },
			"destination": func(e *wire.Envelope) { e.Header.Destination = wire.To(repeated(t, 9).PublicKey()) },
			"type":        func(e *wire.Envelope) { e.Header.Type = wire.TypeStoredMessages },
			"flags":       func(e *wire.Envelope) { e.Header.Flags ^= wire.Encrypted },
			"expiry":      func(e *wire.Envelope) { e.Header.Expires++ },
			"no expiry":   func(e *wire.Envelope) { e.Header.Expires = 0 },
			"ephemeral": func(e *wire.Envelope) {
				k := repeated(t, 9).PublicKey()
				e.Header.Ephemeral = k[:]
			},
			"body":      func(e *wire.Envelope) { e.Body[0] ^= 1 },
			"more body": func(e *wire.Envelope) { e.Body = append(e.Body, 0x0a, 0) },
		} {
			e := compose(t, d)
			if _, err := e.VerifyOrigin(); err != nil {
				t.Fatal(err)
			}
			e.Body = bytes.Clone(e.Body)
			change(&e)
			if _, err := e.VerifyOrigin(); !errors.Is(err, wire.ErrSignature) {
				t.Errorf("%s, %v: got %v, want a bad signature", name, d.EncryptFor, err)
			}
		}
	}
}

// conforms: dht 4
func TestSignatureRefusals(t *testing.T) {
	good := compose(t, wire.Draft{Body: ping(t), Sign: true})
	binding := good.Binding()
	sig, err := wire.DecodeSignature(good.Header.Signature)
	if err != nil {
		t.Fatal(err)
	}
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	plusOrder, carry := sig.S, 0 // the same scalar, written otherwise
	for i, b := range order {
		carry += int(sig.S[i]) + int(b)
		plusOrder[i] = byte(carry)
		carry >>= 8
	}
	changed := func(change func(*wire.Signature)) []byte {
		s := sig
		change(&s)
		return s.Append(nil)
	}
	for name, b := range map[string][]byte{
		"no protobuf":       []byte("x"),
		"truncated":         good.Header.Signature[:101],
		"no signer":         good.Header.Signature[34:],
		"no nonce":          append(bytes.Clone(good.Header.Signature[:34]), good.Header.Signature[68:]...),
		"no scalar":         good.Header.Signature[:68],
		"number as signer":  unhex(t, "0801"),
		"another signer":    changed(func(s *wire.Signature) { s.Signer = repeated(t, 9).PublicKey() }),
		"identity":          changed(func(s *wire.Signature) { s.Signer = identity.PublicKey{} }),
		"another nonce":     changed(func(s *wire.Signature) { s.Nonce = repeated(t, 9).PublicKey() }),
		"nonce no point":    changed(func(s *wire.Signature) { s.Nonce[31] = 0xff }),
		"scalar not below":  changed(func(s *wire.Signature) { s.S = [32]byte(order) }),
		"scalar plus order": changed(func(s *wire.Signature) { s.S = plusOrder }),
		"another scalar":    changed(func(s *wire.Signature) { s.S[0] ^= 1 }),
		"short field":       protowire.AppendBytes(bytes.Clone(good.Header.Signature[:69]), sig.S[:31]),
	} {
		e := good
		e.Header.Signature = b
		if _, err := e.VerifyOrigin(); !errors.Is(err, wire.ErrSignature) {
			t.Errorf("%s: got %v, want a bad signature", name, err)
		}
	}
	if err := sig.Verify(binding); err != nil {
		t.Error(err)
	}
	e := good
	e.Header.Signature = append(bytes.Clone(good.Header.Signature), unhex(t, "22 0101")...) // field 4
	if _, err := e.VerifyOrigin(); err != nil {
		t.Errorf("an unknown field behind: got %v, want none", err)
	}
}

// conforms: dht 18
func TestSignaturesOfTheIdentityElementVerifyNowhere(t *testing.T) {
	// With P the identity, s·G = R holds for any s when R = s·G.
	s := repeated(t, 4)
	forged := wire.Signature{Nonce: s.PublicKey(), S: [32]byte(s.Bytes())}
	if err := forged.Verify([32]byte{1}); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("got %v, want a bad signature", err)
	}
}

// conforms: dht 39
func TestSemantics(t *testing.T) {
	recipient := repeated(t, 2).PublicKey()
	for name, change := range map[string]func(*wire.Envelope){
		"no destination":   func(e *wire.Envelope) { e.Header.Destination = wire.Destination{} },
		"no ephemeral key": func(e *wire.Envelope) { e.Header.Ephemeral = nil },
		"no signature":     func(e *wire.Envelope) { e.Header.Signature = nil },
		"no body":          func(e *wire.Envelope) { e.Body = nil },
	} {
		e := compose(t, wire.Draft{Body: ping(t), Destination: wire.To(recipient), EncryptFor: recipient})
		if err := e.CheckSemantics(); err != nil {
			t.Fatal(err)
		}
		change(&e)
		if err := e.CheckSemantics(); !errors.Is(err, wire.ErrSemantics) {
			t.Errorf("%s: got %v, want an error", name, err)
		}
		e.Header.Flags = 0
		if err := e.CheckSemantics(); err != nil {
			t.Errorf("%s, clear: got %v, want none", name, err)
		}
	}
}

// TestUndecryptable: all messages that do not decrypt give the same error.
//
// conforms: dht 28, 30, 42
func TestUndecryptable(t *testing.T) {
	recipient := repeated(t, 2)
	draft := wire.Draft{Destination: wire.To(recipient.PublicKey()), EncryptFor: recipient.PublicKey(), Body: ping(t)}
	e := compose(t, draft)
	signer, err := e.VerifyOrigin()
	if err != nil {
		t.Fatal(err)
	}
	zero := e
	zero.Header.Ephemeral = make([]byte, 32)
	flipped, cut, tag := e, e, e
	flipped.Body = bytes.Clone(e.Body)
	flipped.Body[100] ^= 1
	cut.Body = e.Body[:5999]
	tag.Body = e.Body[:10]
	for name, c := range map[string]struct {
		e      wire.Envelope
		secret *identity.Secret
	}{
		"text shorter than its length": {sealedText(t, nil), recipient},
		"text of 5,999 bytes":          {sealedText(t, make([]byte, 5999)), recipient},
		"text of 6,001 bytes":          {sealedText(t, make([]byte, 6001)), recipient},
		"a body in 5,999 bytes":        {sealedText(t, holding(ping(t))[:5999]), recipient},
		"a body in 6,001 bytes":        {sealedText(t, append(holding(ping(t)), 0)), recipient},
		"a length that is too long":    {sealedText(t, lengthed(5997, 6000)), recipient},
		"somebody else's":              {e, repeated(t, 5)},
		"zero key":                     {zero, recipient},
		"bit flipped":                  {flipped, recipient},
		"cut":                          {cut, recipient},
		"shorter than a tag":           {tag, recipient},
		"undecodable":                  {sealedText(t, holding([]byte{0x0a, 0xff})), recipient},
		"no parts":                     {sealedText(t, holding([]byte{0x10, 0x01})), recipient},
		"too many parts":               {sealedText(t, holding(wire.AppendBody(nil, make([][]byte, wire.MaxParts+1)...))), recipient},
	} {
		by := signer
		if c.e.Header.Signature != nil {
			if s, err := wire.DecodeSignature(c.e.Header.Signature); err == nil {
				by = s.Signer
			}
		}
		if _, err := c.e.Open(c.secret, by); err != wire.ErrDecryption { // the very same: no detail
			t.Errorf("%s: got %v, want %v", name, err, wire.ErrDecryption)
		}
	}
	if _, err := e.Open(recipient, repeated(t, 9).PublicKey()); err != wire.ErrDecryption {
		t.Errorf("another signer: got %v, want %v", err, wire.ErrDecryption)
	}
}

// sealedText returns a message for secret 2 whose plaintext is exactly this,
// made by hand from what the specification says.
func sealedText(t testing.TB, text []byte) wire.Envelope {
	t.Helper()
	sender, ephemeral, recipient := repeated(t, 1), repeated(t, 3), repeated(t, 2).PublicKey()
	shared, err := ephemeral.DH(recipient[:])
	if err != nil {
		t.Fatal(err)
	}
	key := identity.Hash256("com.tari.comms.dht", 1, "key_message", shared[:])
	mask := identity.HashScalar("com.tari.comms.dht", 1, "key_mask", shared[:])
	var m, s ristretto.Scalar
	if err := errors.Join(m.SetCanonical(mask[:]), s.SetCanonical(sender.Bytes())); err != nil {
		t.Fatal(err)
	}
	product := ristretto.Multiply(&m, &s)
	b := product.Bytes()
	masked, err := identity.SecretFromBytes(b[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		t.Fatal(err)
	}
	public, ephemeralKey := masked.PublicKey(), ephemeral.PublicKey()
	e := wire.Envelope{
		Header: wire.Header{
			Version: 2, Destination: wire.To(recipient), Flags: wire.Encrypted, Ephemeral: ephemeralKey[:], Expires: expires,
		},
		Body: aead.Seal(nil, make([]byte, aead.NonceSize()), text, public[:]),
	}
	sig, err := wire.Sign(masked, e.Binding(), scalars(repeated(t, 4)))
	if err != nil {
		t.Fatal(err)
	}
	e.Header.Signature = sig.Append(nil)
	return e
}

// lengthed returns a text of n bytes that says it holds a body of so many.
func lengthed(body uint32, n int) []byte {
	text := make([]byte, n)
	binary.LittleEndian.PutUint32(text, body)
	return text
}

// holding returns a padded text that holds the body.
func holding(body []byte) []byte {
	text := lengthed(uint32(len(body)), 6000)
	copy(text[4:], body)
	return text
}

// TestAnyPaddingOpens: more padding than needed, and padding of any bytes, is accepted.
//
// conforms: dht 29
func TestAnyPaddingOpens(t *testing.T) {
	body := ping(t)
	for _, n := range []int{6000, 12000} {
		text := lengthed(uint32(len(body)), n)
		for i := range text[4:] {
			text[4+i] = 0xaa
		}
		copy(text[4:], body)
		o := openFor(t, sealedText(t, text), repeated(t, 2))
		equal(t, "body", wire.AppendBody(nil, o.Parts...), body)
	}
}

// TestNestedGroups: groups, which no node writes, are skipped to the same depth as by
// the reference.
//
// conforms: V 20
func TestNestedGroups(t *testing.T) {
	nested := func(n int) []byte { // field 15
		return append(bytes.Repeat([]byte{0x7b}, n), bytes.Repeat([]byte{0x7c}, n)...)
	}
	if _, err := wire.DecodeBody(nested(128)); err != nil {
		t.Errorf("128 deep: got %v, want none", err)
	}
	for name, b := range map[string][]byte{
		"129 deep":      nested(129),
		"not ended":     {0x7b},
		"another's end": {0x7b, 0x74},
	} {
		if _, err := wire.DecodeBody(b); !errors.Is(err, wire.ErrBody) {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}

// conforms: dht 42, V 20
func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		parts     int
		want      error
	}{
		{"empty", "", 0, nil},
		{"one empty part", "0a00", 1, nil},
		{"unknown fields only", "1001 1a0161", 0, nil},
		{"sixteen parts", "0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00", 16, nil},
		{"seventeen parts", "0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00 0a00", 0, wire.ErrBody},
		{"truncated", "0a05 6161", 0, wire.ErrBody},
		{"part as a number", "0801", 0, wire.ErrBody},
	} {
		parts, err := wire.DecodeBody(unhex(t, c.hex))
		if !errors.Is(err, c.want) || len(parts) != c.parts {
			t.Errorf("%s: got %d parts, %v, want %d, %v", c.name, len(parts), err, c.parts, c.want)
		}
	}
}

// conforms: dht 137
func TestSplitDomain(t *testing.T) {
	h, m, err := wire.SplitDomain([][]byte{unhex(t, "08e807 1005"), []byte("hello"), []byte("ignored")})
	if err != nil || h.Type != 1000 || h.Nonce != 5 || string(m) != "hello" {
		t.Errorf("got %+v %q %v", h, m, err)
	}
	for name, parts := range map[string][][]byte{
		"none":                  nil,
		"no message":            {unhex(t, "0801")},
		"undecodable header":    {[]byte{0x08}, nil},
		"header as other types": {unhex(t, "0a00"), nil},
	} {
		if _, _, err := wire.SplitDomain(parts); !errors.Is(err, wire.ErrBody) {
			t.Errorf("%s: got %v, want a bad body", name, err)
		}
	}
}

// conforms: V 20
func TestItemsAreCounted(t *testing.T) {
	address := append([]byte{0x12}, appendLength([]byte{1})...)
	if _, err := wire.DecodeAnnouncement(bytes.Repeat(address, wire.MaxItems)); err != nil {
		t.Errorf("%d addresses: got %v, want none", wire.MaxItems, err)
	}
	if _, err := wire.DecodeAnnouncement(bytes.Repeat(address, wire.MaxItems+1)); !errors.Is(err, wire.ErrBody) {
		t.Errorf("%d addresses: got %v, want an error", wire.MaxItems+1, err)
	}
	message := []byte{0x0a, 0}
	if _, err := wire.DecodeStoredResponse(bytes.Repeat(message, wire.MaxItems+1)); !errors.Is(err, wire.ErrBody) {
		t.Errorf("%d messages: got %v, want an error", wire.MaxItems+1, err)
	}
	id := append([]byte{0x12}, appendLength(make([]byte, 13))...)
	if _, err := wire.DecodeGetCloserPeers(bytes.Repeat(id, wire.MaxItems+1)); !errors.Is(err, wire.ErrBody) {
		t.Errorf("%d excluded: got %v, want an error", wire.MaxItems+1, err)
	}
	// Claims and their addresses share one count.
	for n, want := range map[int]error{wire.MaxPeerItems - 1: nil, wire.MaxPeerItems: wire.ErrBody} {
		claims := append([]byte{0x12}, appendLength(bytes.Repeat([]byte{0x0a, 1, 1}, n))...)
		if _, err := wire.DecodePeerInfo(append([]byte{0x0a}, appendLength(claims)...)); !errors.Is(err, want) {
			t.Errorf("%d addresses in a claim: got %v, want %v", n, err, want)
		}
	}
	if _, err := wire.DecodePeerInfo(nil); !errors.Is(err, wire.ErrBody) {
		t.Errorf("no peer: got %v, want an error", err)
	}
}

func TestClaimRefusals(t *testing.T) {
	claim, err := identity.SignClaim(repeated(t, 1), identity.FeatureNode, nil, timeOf(expires), scalars(repeated(t, 4)))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wire.Announcement){
		"short key":        func(a *wire.Announcement) { a.Key = a.Key[:31] },
		"zero key":         func(a *wire.Announcement) { a.Key = make([]byte, 32) },
		"unknown features": func(a *wire.Announcement) { a.Features = 7 },
		"no signature":     func(a *wire.Announcement) { a.Signature = nil },
		"version 256":      func(a *wire.Announcement) { a.Signature.Version = 256 },
		"short scalar":     func(a *wire.Announcement) { a.Signature.S = a.Signature.S[:31] },
		"no nonce":         func(a *wire.Announcement) { a.Signature.Nonce = nil },
		"nonce no point":   func(a *wire.Announcement) { a.Signature.Nonce = bytes.Repeat([]byte{0xff}, 32) },
	} {
		a := wire.NewAnnouncement(claim, 1)
		if _, err := a.Claim(); err != nil {
			t.Fatal(err)
		}
		change(&a)
		decoded, err := wire.DecodeAnnouncement(a.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decoded.Claim(); err == nil {
			t.Errorf("%s: got a claim, want an error", name)
		}
	}
}
