package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// The known answers of spec: dht 3.6. Secrets are 01…, 02…, 03… and 04….
const (
	keyS = "3e440469a098036d89ffb2d77a4542928f2f74c2b5769da7480736ace829dc10"
	keyR = "f6d73cfa04628744bf6939147f8535be14a0ef13e3ab294413177b541f08da09"
	keyE = "3417ece792a4d8416b6ee445ef9420d1b6e4db370d38ab04872fcbb0fed96f6f"
	keyN = "78cbb09cd18f90824f8ce357ac6163276fbc70df590a3853ad056f4af16f662b"

	pingBody = "0a04080110010a02102a"
	expires  = 1_700_000_000
)

// conforms: dht 1
func TestNodeIDs(t *testing.T) {
	for key, want := range map[string]string{
		"02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031": "c1a7552e5d9e9b257c4008b965",
		keyS: "37b58d8a26dac7115a4df931ee",
		keyR: "f9b1f5a7fdef68caf62c6230e1",
		keyE: "4d673b022277d1cb27e56e1110",
		keyN: "53fc4f9d0ccf1fefbb86302129",
	} {
		k, err := identity.ParsePublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.NodeID().String(); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func ping(t testing.TB) []byte {
	return wire.AppendBody(nil, wire.DomainHeader{Type: 1, Nonce: 1}.Append(nil), unhex(t, "102a"))
}

// compose draws the ephemeral key 03… and the nonce 04….
func compose(t testing.TB, d wire.Draft) wire.Envelope {
	t.Helper()
	random := scalars(repeated(t, 4))
	if !d.EncryptFor.IsZero() {
		random = scalars(repeated(t, 3), repeated(t, 4))
	}
	d.Tag, d.Expires = 7, expires
	e, err := wire.Compose(d, repeated(t, 1), random)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// conforms: dht 2, 3, 5, 8, 14
func TestUnsignedPing(t *testing.T) {
	equalHex(t, "body", ping(t), pingBody)
	e := compose(t, wire.Draft{Body: ping(t)})
	equalHex(t, "header", e.Header.Append(nil), "0802180158076080e2cfaa06")
	equalHex(t, "envelope", e.Append(nil), "0a0c0802180158076080e2cfaa06120a0a04080110010a02102a")
	if got, want := e.DedupHash().String(), "ecacf77a2263a926a236833ead1ae6c5e929a4637b60aca9a76ef84e7e281fd0"; got != want {
		t.Errorf("dedup hash: got %s, want %s", got, want)
	}
}

// conforms: dht 14, 17
func TestSignedPing(t *testing.T) {
	e := compose(t, wire.Draft{Body: ping(t), Sign: true})
	binding := e.Binding()
	equalHex(t, "binding", binding[:], "d31f33b523a87b80669ef1c0e7b7a37060458fc4fec077f77e6861d769bca71a")
	equalHex(t, "envelope", e.Append(nil), "0a740802180132660a20"+keyS+"1220"+keyN+
		"1a207a84a8abd87482202aaa6bd80bfdbc4f0c7598b87f540ba98ca7b39bb3f38701"+
		"58076080e2cfaa06120a0a04080110010a02102a")
	if got, want := e.DedupHash().String(), "759cf67bc80842931a57c0e8cad91e819c7349732a4c9439dab06b53f2d7df1a"; got != want {
		t.Errorf("dedup hash: got %s, want %s", got, want)
	}
	received := decode(t, e.Append(nil))
	if origin, err := received.VerifyOrigin(); err != nil || origin.String() != keyS {
		t.Errorf("got origin %v, %v, want %s", origin, err, keyS)
	}
}

// conforms: dht 14, 22, 25, 26
func TestEncryptedPing(t *testing.T) {
	recipient := repeated(t, 2).PublicKey()
	e := compose(t, wire.Draft{Destination: wire.To(recipient), EncryptFor: recipient, Body: ping(t)})
	if len(e.Body) != 6016 {
		t.Fatalf("got a body of %d bytes, want 6016", len(e.Body))
	}
	equalHex(t, "ciphertext", e.Body[:32], "eed458e7f8a7ca44388101513476f6726446e459ba5f6eb88acbe48e2bc320bf")
	equalHex(t, "tag", e.Body[6000:], "02a687dd4616a9f1c83dfe0729423082")
	sum := blake2b.Sum256(e.Body)
	equalHex(t, "hash of the body", sum[:], "43b078c709169058dc9889f9229745104c1d3fe05ddaf531ef3af34065429654")
	binding := e.Binding()
	equalHex(t, "binding", binding[:], "4ba24e783ca7d234231e0a92e1709839bf66c432ab60288164a257e5da0ba400")
	equalHex(t, "header", e.Header.Append(nil), "08022220"+keyR+"32660a20"+
		"2873e063b3b08da62e7b1d4c995d93abe8ac7302dd2499883f30d2aa533aed56"+"1220"+keyN+
		"1a2066d0d0824a2c77936f4cce48ef029b98f0906639f620301c3be36c0c18e85b0c"+
		"3a20"+keyE+"500158076080e2cfaa06")
	sum = blake2b.Sum256(e.Append(nil))
	equalHex(t, "hash of the envelope", sum[:], "008848ea8467d547911e889eaf424e1788aec06bbd6a94f34e31c4a35349502c")
	if got, want := e.DedupHash().String(), "c5168005b01b2072e7ed54f2a716f15dfff40f99c2fa82af32e7b0d21a89bcbe"; got != want {
		t.Errorf("dedup hash: got %s, want %s", got, want)
	}
	o := openFor(t, decode(t, e.Append(nil)), repeated(t, 2))
	if o.Origin.String() != keyS {
		t.Errorf("got origin %v, want %s", o.Origin, keyS)
	}
	equalHex(t, "body", wire.AppendBody(nil, o.Parts...), pingBody)
}

// conforms: dht 14, 19
func TestJoin(t *testing.T) {
	s := repeated(t, 1)
	claim, err := identity.SignClaim(s, identity.FeatureNode, [][]byte{unhex(t, "047f000001064e21")}, time.Unix(expires, 0), scalars(repeated(t, 4)))
	if err != nil {
		t.Fatal(err)
	}
	join := wire.NewAnnouncement(claim, 99)
	message := "0a20" + keyS + "1208047f000001064e21180320632a4a1220" +
		"aa2985674e0b97bde0dc79f3a5b397ce5e52e128e5ac5524e0510bf438bb3306" + "1a20" + keyN + "2080e2cfaa06"
	equalHex(t, "join", join.Append(nil), message)
	e := compose(t, wire.Draft{Destination: wire.To(s.PublicKey()), Type: wire.TypeJoin, Body: wire.AppendBody(nil, join.Append(nil))})
	binding := e.Binding()
	equalHex(t, "binding", binding[:], "6169bd17708c9f74bb71dc84e4141d4e0160955e4cf79cd558c7341f0850f132")
	equalHex(t, "envelope", e.Append(nil), "0a960108022220"+keyS+"32660a20"+keyS+"1220"+keyN+
		"1a20d56077e82d7a53d6a70f32b98356399d340baff5dac2256aa2abb0e231e86e0c"+"400158076080e2cfaa06127e0a7c"+message)
	if got, want := e.DedupHash().String(), "73273febdfd6b437493e0d5ba3af9c1fbab0385b23acff2e2ebd2e91b5b186c6"; got != want {
		t.Errorf("dedup hash: got %s, want %s", got, want)
	}
}

// conforms: dht 14, 20
func TestStoredMessagesExchange(t *testing.T) {
	request := wire.StoredRequest{RequestID: 0x01020304, Limit: 50}
	e := compose(t, wire.Draft{Type: wire.TypeStoredRequest, Body: wire.AppendBody(nil, request.Append(nil))})
	equalHex(t, "request", e.Append(nil), "0a0e08021801401458076080e2cfaa0612090a0710848688081832")
	response := wire.StoredResponse{RequestID: 0x01020304}
	e = compose(t, wire.Draft{Type: wire.TypeStoredMessages, Body: wire.AppendBody(nil, response.Append(nil))})
	equalHex(t, "response", e.Append(nil), "0a0e08021801401558076080e2cfaa0612070a051084868808")
}

// conforms: dht 2, 6, 12, 13
func TestBindingCorners(t *testing.T) {
	for _, c := range []struct {
		name string
		e    wire.Envelope
		want string
	}{
		{"all defaults", wire.Envelope{Header: wire.Header{Version: 2}}, "bc0b6d3562cf8324e512f0eabde9b3ed16a7a45eba3340ddeb79077161cefd45"},
		{"join to S", wire.Envelope{
			Header: wire.Header{Version: 2, Destination: wire.To(repeated(t, 1).PublicKey()), Type: wire.TypeJoin, Expires: expires},
			Body:   []byte("body"),
		}, "e50295bbafb581383451f690a304992dad701029a718c5944b4e937deb56624e"},
	} {
		got := c.e.Binding()
		if hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: got %x, want %s", c.name, got, c.want)
		}
		c.e.Header.Version = 1
		if c.e.Binding() == got {
			t.Errorf("%s: the version is not hashed", c.name)
		}
	}
}

// conforms: dht 2, 3
func TestDedupFixture(t *testing.T) {
	want := "64f1db1039353cf2ff7e09889d14ffd9885766c3dc494a59823a499edfe6997c"
	if got := wire.DedupHash(nil, unhex(t, "0a0774657374313233")).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// conforms: dht 7, 14
func TestFieldsInAnyOrder(t *testing.T) {
	recipient := repeated(t, 2).PublicKey()
	for _, d := range []wire.Draft{
		{Body: ping(t)},
		{Body: ping(t), Sign: true},
		{Body: ping(t), Destination: wire.To(recipient), EncryptFor: recipient},
	} {
		e := compose(t, d)
		canonical := e.Append(nil)
		header := split(t, e.Header.Append(nil))
		for _, field := range header { // one byte each, since no number is above 15
			if n := field[0] >> 3; !strings.ContainsRune("\x01\x03\x04\x06\x07\x08\x0a\x0b\x0c", rune(n)) {
				t.Errorf("field %d is written, want only 1, 3 or 4, 6, 7, 8, 10, 11 and 12", n)
			}
		}
		for shift := range header {
			// Unknown and retired fields in between: 2, 5, 9 and 15 of every wire type.
			mixed := unhex(t, "1005 2a0161 4d01020304 7b08017c 490102030405060708")
			for i := range header {
				mixed = append(mixed, header[(i+shift)%len(header)]...)
			}
			b := append([]byte{0x12}, appendLength(e.Body)...)
			b = append(append(b, 0x0a), appendLength(mixed)...)
			got := decode(t, b)
			if _, err := got.VerifyOrigin(); err != nil {
				t.Fatalf("shift %d: %v", shift, err)
			}
			equal(t, "written again", got.Append(nil), canonical)
		}
	}
}

// split returns the encoded fields of a message.
func split(t testing.TB, b []byte) (list [][]byte) {
	t.Helper()
	for len(b) > 0 {
		n := fieldLen(t, b)
		list, b = append(list, b[:n]), b[n:]
	}
	return list
}

// conforms: dht 21
func TestPadding(t *testing.T) {
	recipient := repeated(t, 2)
	for n, want := range map[int]int{10: 6016, 5996: 6016, 5997: 12016, 11996: 12016, 11997: 18016} {
		part := bytes.Repeat([]byte{7}, n-2)
		body := wire.AppendBody(nil, part)
		for len(body) > n {
			part = part[1:]
			body = wire.AppendBody(nil, part)
		}
		if len(body) != n {
			t.Fatalf("got a body of %d bytes, want %d", len(body), n)
		}
		e := compose(t, wire.Draft{Destination: wire.To(recipient.PublicKey()), EncryptFor: recipient.PublicKey(), Body: body})
		if len(e.Body) != want {
			t.Errorf("%d bytes: got %d sealed, want %d", n, len(e.Body), want)
		}
		equal(t, "body", wire.AppendBody(nil, openFor(t, e, recipient).Parts...), body)
	}
}

// conforms: dht 23
func TestEphemeralKeyIsFresh(t *testing.T) {
	recipient := repeated(t, 2).PublicKey()
	seen := map[string]bool{}
	random := scalars(repeated(t, 3), repeated(t, 4), repeated(t, 5), repeated(t, 6))
	for range 2 {
		e, err := wire.Compose(wire.Draft{Destination: wire.To(recipient), EncryptFor: recipient, Body: ping(t)}, repeated(t, 1), random)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(e.Header.Ephemeral)] = true
		seen[string(e.Body)] = true
		seen[string(e.Header.Signature)] = true
	}
	if len(seen) != 6 {
		t.Errorf("got %d different keys, bodies and signatures in two messages, want 6", len(seen))
	}
}

func TestComposeRefuses(t *testing.T) {
	a, b := repeated(t, 1).PublicKey(), repeated(t, 2).PublicKey()
	for _, c := range []struct {
		d    wire.Draft
		want string
	}{
		{wire.Draft{EncryptFor: a, Body: ping(t)}, "addressed to unknown"},
		{wire.Draft{EncryptFor: a, Destination: wire.To(b), Body: ping(t)}, "both must be the same key"},
		{wire.Draft{EncryptFor: a, Destination: wire.To(a)}, "without a body"},
		{wire.Draft{Version: 3, Body: ping(t)}, "unknown version"},
		{wire.Draft{Type: 9, Body: ping(t)}, "unknown message type"},
		{wire.Draft{Destination: wire.To(identity.PublicKey{0xff}), Body: ping(t)}, "bad destination"},
		{wire.Draft{Body: []byte("no body")}, "undecodable body"},
		{wire.Draft{Body: wire.AppendBody(nil, make([][]byte, wire.MaxParts+1)...)}, "more than 16 parts"},
	} {
		_, err := wire.Compose(c.d, repeated(t, 3), scalars(repeated(t, 4), repeated(t, 5)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := wire.Compose(wire.Draft{Sign: true, Body: ping(t)}, repeated(t, 1), bytes.NewReader(nil)); !errors.Is(err, identity.ErrRandom) {
		t.Errorf("got %v, want no randomness", err)
	}
}

// conforms: dht 27
func TestZeroMask(t *testing.T) {
	if err := wire.CheckMask([32]byte{}); err == nil {
		t.Error("a mask of zero was taken")
	}
	if err := wire.CheckMask([32]byte{1}); err != nil {
		t.Errorf("a mask of one: %v", err)
	}
}

// TestWhoSigns composes a message of each type in clear, not asked to sign it:
// those in which a node makes itself known are signed with its key all the same.
//
// conforms: dht 19, 20
func TestWhoSigns(t *testing.T) {
	s := repeated(t, 1)
	for typ, signed := range map[wire.MessageType]bool{
		wire.TypeDomain: false, wire.TypeJoin: true, wire.TypeDiscovery: false, wire.TypeDiscoveryResponse: true,
		wire.TypeStoredRequest: false, wire.TypeStoredMessages: false,
	} {
		e, err := wire.Compose(wire.Draft{Type: typ, Body: wire.AppendBody(nil, []byte("x"))}, s, scalars(repeated(t, 2)))
		if err != nil {
			t.Fatalf("%v: %v", typ, err)
		}
		signer, err := e.VerifyOrigin()
		if err != nil || signer.IsZero() == signed || signed && signer != s.PublicKey() {
			t.Errorf("%v: got signer %v, %v, want signed %v", typ, signer, err, signed)
		}
	}
}
