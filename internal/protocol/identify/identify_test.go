package identify_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The known answer of spec: comms 7.7.
const katFrame = "00a300" +
	"0a0804cb00710706470d" +
	"0a27bd03adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e30304d2" +
	"1003" +
	"1a09742f6d73672f302e31" +
	"1a07742f6468742f31" +
	"220c74726f7570652f302e312e30" +
	"2a4a12202751165953b2756895f538d2226aa5f677a9242be8188f96546b25c26b476200" +
	"1a2098d888b714e1731a9235d72ae909350a44ab033929b6f576b040e5321c820b212080e2cfaa06"

var (
	ip4    = []byte{0x04, 203, 0, 113, 7, 0x06, 0x47, 0x0d}
	onion3 = mustHex("bd03adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e30304d2")
	now    = time.Unix(1700000000, 0)
	tari   = protocol.Tari(protocol.Igor) // test addresses off
)

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func secret(t testing.TB) *identity.Secret {
	t.Helper()
	s, err := identity.ParseSecret("019388b67c5bfba732b6441f8cc5118a5547f8dea85e110da4fdd4c19936970a")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sign signs a claim with the nonce of the known answer.
func sign(t testing.TB, f identity.Features, at time.Time, addresses ...[]byte) identity.Claim {
	t.Helper()
	nonce := blake2b.Sum512([]byte("troupe kat identity nonce"))
	c, err := identity.SignClaim(secret(t), f, addresses, at, bytes.NewReader(nonce[:]))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func katMessage(t testing.TB) identify.Message {
	t.Helper()
	return identify.Message{
		Claim:     sign(t, identity.FeatureNode, now, ip4, onion3),
		Protocols: []protocol.ID{"t/msg/0.1", "t/dht/1"},
		UserAgent: "troupe/0.1.0",
	}
}

// conforms: comms 45, 46
func TestFrameOfTheReference(t *testing.T) {
	want := mustHex(katFrame)
	if len(want) != 166 {
		t.Fatalf("the known answer has %d bytes, want 166", len(want))
	}
	got, err := identify.Append([]byte("before"), 0, katMessage(t))
	if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
	got, err = identify.Append(nil, 7, katMessage(t))
	if err != nil || got[0] != 7 {
		t.Errorf("version 7: got %x, %v", got, err)
	}

	body, err := identify.Read(bytes.NewReader(want), tari)
	if err != nil {
		t.Fatal(err)
	}
	m, err := identify.Decode(body, secret(t).PublicKey(), tari, now)
	if err != nil {
		t.Fatal(err)
	}
	checkMessage(t, m, katMessage(t))
}

func checkMessage(t *testing.T, got, want identify.Message) {
	t.Helper()
	if got.Claim.Key != want.Claim.Key || got.Claim.Features != want.Claim.Features || got.Claim.Signature != want.Claim.Signature {
		t.Errorf("claim: got %+v, want %+v", got.Claim, want.Claim)
	}
	if !slices.EqualFunc(got.Claim.Addresses, want.Claim.Addresses, bytes.Equal) {
		t.Errorf("addresses: got %x, want %x", got.Claim.Addresses, want.Claim.Addresses)
	}
	if !slices.Equal(got.Protocols, want.Protocols) || got.UserAgent != want.UserAgent {
		t.Errorf("got %q, %q, want %q, %q", got.Protocols, got.UserAgent, want.Protocols, want.UserAgent)
	}
}

// The frames that live nodes sent are read, and come out of Append again.
//
// conforms: comms 45, 46
func TestFramesOfLiveNodes(t *testing.T) {
	names, err := filepath.Glob("../../../tests/vectors/comms/identity-claims-*.json")
	if err != nil || len(names) != 3 {
		t.Fatalf("got %d files, %v, want 3", len(names), err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Bytes []struct {
				Frame     string
				PublicKey string `json:"public_key"`
				Expect    struct {
					Addresses     []string
					AddressesText []string `json:"addresses_text"`
					Features      uint32
					FrameVersion  uint8    `json:"frame_version"`
					R             string   `json:"signature_R"`
					S             string   `json:"signature_s"`
					Version       uint8    `json:"signature_version"`
					Protocols     []string `json:"supported_protocols"`
					UpdatedAt     int64    `json:"updated_at"`
					UserAgent     string   `json:"user_agent"`
				}
			}
		}
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Bytes) != 6 {
			t.Fatalf("%s: got %d claims, want 6", name, len(file.Bytes))
		}
		for _, v := range file.Bytes {
			key, err := identity.ParsePublicKey(v.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			want := identify.Message{
				Claim: identity.Claim{
					Key:      key,
					Features: identity.Features(v.Expect.Features),
					Signature: identity.Signature{
						Version: v.Expect.Version, Nonce: [32]byte(mustHex(v.Expect.R)), S: [32]byte(mustHex(v.Expect.S)), UpdatedAt: v.Expect.UpdatedAt,
					},
				},
				UserAgent: v.Expect.UserAgent,
			}
			for _, a := range v.Expect.Addresses {
				want.Claim.Addresses = append(want.Claim.Addresses, mustHex(a))
			}
			for _, id := range v.Expect.Protocols {
				want.Protocols = append(want.Protocols, protocol.ID(id))
			}
			frame := mustHex(v.Frame)
			body, err := identify.Read(bytes.NewReader(frame), tari)
			if err != nil {
				t.Errorf("%s: read %s: %v", name, v.Frame, err)
				continue
			}
			m, err := identify.Decode(body, key, tari, time.Unix(v.Expect.UpdatedAt, 0))
			if err != nil {
				t.Errorf("%s: decode %s: %v", name, v.Frame, err)
				continue
			}
			checkMessage(t, m, want)
			for i, text := range v.Expect.AddressesText {
				if a, err := address.FromBytes(m.Claim.Addresses[i]); err != nil || a.String() != text {
					t.Errorf("%s: got address %v, %v, want %s", name, a, err, text)
				}
			}
			if got, err := identify.Append(nil, v.Expect.FrameVersion, want); err != nil || !bytes.Equal(got, frame) {
				t.Errorf("%s: append: got %x, %v, want %x", name, got, err, frame)
			}
		}
	}
}

func header(version byte, n int) []byte {
	return binary.LittleEndian.AppendUint16([]byte{version}, uint16(n))
}

// verdict says what a failure is worth.
func verdict(err error) string {
	var v *protocol.Violation
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &v):
		if v.Stage != "identity" {
			return "stage " + v.Stage
		}
		return fmt.Sprintf("ban %v", v.Ban)
	}
	return "no ban"
}

const (
	accepted = "accepted"
	noBan    = "no ban"
	banShort = "ban 2m0s"
	banLong  = "ban 2h0m0s"
)

// conforms: comms 48
func TestRead(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want string
		err  error
	}{
		{"nothing", nil, noBan, io.EOF},
		{"version alone", []byte{0}, noBan, io.ErrUnexpectedEOF},
		{"half a length", []byte{0, 4}, noBan, io.ErrUnexpectedEOF},
		{"no body", header(0, 4), noBan, io.ErrUnexpectedEOF},
		{"short body", append(header(0, 4), "abc"...), noBan, io.ErrUnexpectedEOF},
		{"whole", append(header(0, 4), "abcd"...), accepted, nil},
		{"empty", header(0, 0), accepted, nil},
		{"the limit", append(header(0, 1024), make([]byte, 1024)...), accepted, nil},
		{"above the limit", append(header(0, 1025), make([]byte, 1025)...), banLong, identify.ErrTooLong},
		{"above the limit, no body", header(0, 1025), banLong, identify.ErrTooLong},
		{"the longest", header(0, 65535), banLong, identify.ErrTooLong},
		{"big-endian 4", header(0, 0x0400+1), banLong, identify.ErrTooLong},
		{"version 1", append(header(1, 4), "abcd"...), banShort, identify.ErrVersion},
		{"version 255", header(255, 4), banShort, identify.ErrVersion},
		{"version 1, above the limit", header(1, 2000), banShort, identify.ErrVersion},
	} {
		for split, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "half": iotest.HalfReader,
		} {
			body, err := identify.Read(wrap(bytes.NewReader(c.in)), tari)
			if verdict(err) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s, %s: got %v (%s), want %v (%s)", c.name, split, err, verdict(err), c.err, c.want)
			}
			if err == nil && !bytes.Equal(body, c.in[identify.HeaderLen:]) {
				t.Errorf("%s, %s: got %x, want %x", c.name, split, body, c.in[identify.HeaderLen:])
			}
		}
	}
	// A profile may speak a later version.
	p := tari
	p.IdentityVersion = 1
	if _, err := identify.Read(bytes.NewReader(header(1, 0)), p); err != nil {
		t.Errorf("version 1 of 1: got %v, want none", err)
	}
	// A read's own error passes through, whatever it is.
	broken := errors.New("broken")
	for n := range 5 {
		r := io.MultiReader(bytes.NewReader(append(header(0, 4), 'a')[:min(n, 4)]), iotest.ErrReader(broken))
		if _, err := identify.Read(r, tari); !errors.Is(err, broken) || verdict(err) != noBan {
			t.Errorf("after %d bytes: got %v, want the read's error without ban", n, err)
		}
	}
}

// What follows the frame belongs to the multiplexer.
func TestReadLeavesTheRest(t *testing.T) {
	r := strings.NewReader(string(header(0, 2)) + "ab" + "yamux")
	if _, err := identify.Read(r, tari); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "yamux" {
		t.Errorf("got %q left, want yamux", rest)
	}
}

// Silence is measured by the caller, and judged here.
func TestSilentPeer(t *testing.T) {
	err := identify.Silent(os.ErrDeadlineExceeded)
	if verdict(err) != banShort || !errors.Is(err, identify.ErrSilent) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a ban of 2 min with its cause", err)
	}
}

// raw builds a protobuf message by hand, so that what a well-behaved encoder
// never writes can be written.
type raw []byte

func (r raw) bytes(field int, b []byte) raw {
	r = binary.AppendUvarint(r, uint64(field<<3|2))
	r = binary.AppendUvarint(r, uint64(len(b)))
	return append(r, b...)
}

func (r raw) varint(field int, v uint64) raw {
	r = binary.AppendUvarint(r, uint64(field<<3))
	return binary.AppendUvarint(r, v)
}

// parts are the fields of a message before they are encoded.
type parts struct {
	claim     identity.Claim
	features  uint64 // what is sent, if not the claim's
	version   uint64
	updatedAt int64
	s, nonce  []byte
	unsigned  bool
	protocols []string
	agent     []byte
	extra     raw
}

func (p parts) body() []byte {
	var r raw
	for _, a := range p.claim.Addresses {
		r = r.bytes(1, a)
	}
	r = r.varint(2, p.features)
	for _, id := range p.protocols {
		r = r.bytes(3, []byte(id))
	}
	if p.agent != nil {
		r = r.bytes(4, p.agent)
	}
	if !p.unsigned {
		r = r.bytes(5, raw(nil).varint(1, p.version).bytes(2, p.s).bytes(3, p.nonce).varint(4, uint64(p.updatedAt)))
	}
	return append(r, p.extra...)
}

// good returns the parts of an acceptable message with a claim that signs
// the addresses, whatever they are.
func good(t testing.TB, f identity.Features, addresses ...[]byte) parts {
	t.Helper()
	return of(sign(t, f, now, addresses...))
}

func of(c identity.Claim) parts {
	return parts{
		claim: c, features: uint64(c.Features), version: uint64(c.Signature.Version), updatedAt: c.Signature.UpdatedAt,
		s: c.Signature.S[:], nonce: c.Signature.Nonce[:], protocols: []string{"t/msg/0.1"}, agent: []byte("x/1"),
	}
}

func repeat[T any](n int, v T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = v
	}
	return list
}

func ids(n int) []string { return repeat(n, "t/x") }

// dns4 is a binary /dns4/name/tcp/18189.
func dns4(name string) []byte {
	return append(append([]byte{0x36, byte(len(name))}, name...), 0x06, 0x47, 0x0d)
}

// Every row of spec: comms 7.4 from 5 on, both sides of every limit.
//
// conforms: comms 11, 12, 14, 49-51, 54, 56, 57, V 4-7
func TestDecode(t *testing.T) {
	agent := func(n int) []byte { return bytes.Repeat([]byte("a"), n) }
	other, err := identity.ParseSecret("b45aa8c64b444e861f0ac299747ff233a7572204e395baceb10082d54bd8bf02")
	if err != nil {
		t.Fatal(err)
	}
	type change = func(*parts)
	node := identity.FeatureNode
	for _, c := range []struct {
		name   string
		p      parts
		change change
		want   string
		err    error
	}{
		{"good", good(t, node, ip4), nil, accepted, nil},
		{"client", good(t, 0, ip4), nil, accepted, nil},
		{"features 1", good(t, 1, ip4), nil, accepted, nil},
		{"no protocols, no agent", good(t, node, ip4), func(p *parts) { p.protocols, p.agent = nil, nil }, accepted, nil},

		// Row 5. Unknown fields of every wire type are skipped.
		{"unknown fields", good(t, node, ip4), func(p *parts) {
			p.extra = raw(nil).varint(6, 1).bytes(7, []byte("future")).varint(100000, 5)
			p.extra = append(p.extra, 8<<3|5, 1, 2, 3, 4)             // 32 bits
			p.extra = append(p.extra, 9<<3|1, 1, 2, 3, 4, 5, 6, 7, 8) // 64 bits
		}, accepted, nil},
		{"cut field", good(t, node, ip4), func(p *parts) { p.extra = raw{4<<3 | 2, 9, 'x'} }, banLong, identify.ErrUndecodable},
		{"wire type 7", good(t, node, ip4), func(p *parts) { p.extra = raw{4<<3 | 7} }, banLong, identify.ErrUndecodable},
		{"field 0", good(t, node, ip4), func(p *parts) { p.extra = raw{0, 0} }, banLong, identify.ErrUndecodable},
		{"endless varint", good(t, node, ip4), func(p *parts) { p.extra = bytes.Repeat([]byte{0xff}, 11) }, banLong, identify.ErrUndecodable},
		{"agent that is not UTF-8", good(t, node, ip4), func(p *parts) { p.agent = []byte("x\xff") }, banLong, identify.ErrUndecodable},
		{"agent of any UTF-8", good(t, node, ip4), func(p *parts) { p.agent = []byte("grüße\x00\n\x1b, ☺") }, accepted, nil},
		{"broken signature message", good(t, node, ip4), func(p *parts) { p.unsigned, p.extra = true, raw(nil).bytes(5, []byte{0xff}) }, banLong, identify.ErrUndecodable},

		// Rows 6 and 7.
		{"20 protocols", good(t, node, ip4), func(p *parts) { p.protocols = ids(20) }, accepted, nil},
		{"21 protocols", good(t, node, ip4), func(p *parts) { p.protocols = ids(21) }, banLong, identify.ErrTooMany},
		{"id of 50 bytes", good(t, node, ip4), func(p *parts) { p.protocols = []string{strings.Repeat("x", 50)} }, accepted, nil},
		{"id of 51 bytes", good(t, node, ip4), func(p *parts) { p.protocols = []string{"t/x", strings.Repeat("x", 51)} }, banLong, identify.ErrTooMany},
		{"ids of any bytes", good(t, node, ip4), func(p *parts) { p.protocols = []string{"", "a,b", "\xff\x00\n"} }, accepted, nil},

		// Rows 8 and 9.
		{"no address", good(t, node), nil, accepted, nil},
		{"5 addresses", good(t, node, repeat(5, ip4)...), nil, accepted, nil},
		{"6 addresses", good(t, node, repeat(6, ip4)...), nil, banLong, identify.ErrTooMany},

		// Row 10, in bytes and not in characters.
		{"agent of 50 bytes", good(t, node, ip4), func(p *parts) { p.agent = agent(50) }, accepted, nil},
		{"agent of 51 bytes", good(t, node, ip4), func(p *parts) { p.agent = agent(51) }, banLong, identify.ErrTooMany},
		{"agent of 26 umlauts", good(t, node, ip4), func(p *parts) { p.agent = []byte(strings.Repeat("ü", 26)) }, banLong, identify.ErrTooMany},

		// Row 11.
		{"unparsable address", good(t, node, ip4, []byte{0xff}), nil, noBan, address.ErrUnparsable},
		{"cut address", good(t, node, ip4[:6]), nil, noBan, address.ErrUnparsable},
		{"name that is not UTF-8", good(t, node, dns4("\xff")), nil, noBan, address.ErrUnparsable},

		// Row 12.
		{"features 4", good(t, 4, ip4), nil, noBan, identify.ErrBadFeatures},
		{"features 2^31", good(t, 1<<31, ip4), nil, noBan, identify.ErrBadFeatures},

		// Row 13.
		{"no signature", good(t, node, ip4), func(p *parts) { p.unsigned = true }, noBan, identify.ErrNoSignature},
		{"empty signature", good(t, node, ip4), func(p *parts) { p.unsigned, p.extra = true, raw(nil).bytes(5, nil) }, noBan, identify.ErrNoSignature},
		{"version 256", good(t, node, ip4), func(p *parts) { p.version = 256 }, noBan, identify.ErrNoSignature},
		{"s of 31 bytes", good(t, node, ip4), func(p *parts) { p.s = p.s[:31] }, noBan, identify.ErrNoSignature},
		{"s of 33 bytes", good(t, node, ip4), func(p *parts) { p.s = append(slices.Clone(p.s), 0) }, noBan, identify.ErrNoSignature},
		{"s not canonical", good(t, node, ip4), func(p *parts) { p.s = bytes.Repeat([]byte{0xff}, 32) }, noBan, identity.ErrUndecodable},
		{"R of 31 bytes", good(t, node, ip4), func(p *parts) { p.nonce = p.nonce[:31] }, noBan, identify.ErrNoSignature},
		{"R undecodable", good(t, node, ip4), func(p *parts) { p.nonce = append([]byte{1}, make([]byte, 31)...) }, noBan, identity.ErrUndecodable},
		{"date beyond the calendar", good(t, node, ip4), func(p *parts) { p.updatedAt = 8_210_266_876_800 }, noBan, identify.ErrNoSignature},
		{"date before the calendar", good(t, node, ip4), func(p *parts) { p.updatedAt = -8_334_601_228_801 }, noBan, identify.ErrNoSignature},

		// Row 14: structure only.
		{"empty address", good(t, node, nil), nil, banLong, address.ErrMalformed},
		{"port 0", good(t, node, []byte{4, 8, 8, 8, 8, 6, 0, 0}), nil, banLong, address.ErrMalformed},
		{"no tcp", good(t, node, ip4[:5]), nil, banLong, address.ErrMalformed},
		{"dns", good(t, node, append([]byte{0x35}, dns4("a.b")[1:]...)), nil, banLong, address.ErrMalformed},
		{"onion v2", good(t, node, mustHex("bc030010c0439831b482184804d2")), nil, banLong, address.ErrMalformed},
		{"onion3 checksum", good(t, node, append([]byte{0xbd, 0x03, 0xac}, onion3[3:]...)), nil, banLong, address.ErrMalformed},
		{"trailing ws", good(t, node, append(slices.Clone(ip4), 0xdd, 0x03)), nil, banLong, address.ErrMalformed},
		{"memory port 0", good(t, node, mustHex("89060000000000000000")), nil, banLong, address.ErrMalformed},
		{"the second of two", good(t, node, ip4, ip4[:5]), nil, banLong, address.ErrMalformed},
		{"slash in a name", good(t, node, dns4("a/b")), nil, banLong, address.ErrMalformed},
		{"no host name", good(t, node, dns4("a_b")), nil, accepted, nil},
		{"numeric name", good(t, node, dns4("1.2.3.4")), nil, accepted, nil},
		{"empty name", good(t, node, dns4("")), nil, accepted, nil},
		{"loopback", good(t, node, []byte{4, 127, 0, 0, 1, 6, 0, 1}), nil, accepted, nil},
		{"unspecified", good(t, node, []byte{4, 0, 0, 0, 0, 6, 0, 1}), nil, accepted, nil},
		{"private", good(t, node, []byte{4, 10, 0, 0, 1, 6, 0, 1}), nil, accepted, nil},
		{"link-local", good(t, node, []byte{4, 169, 254, 0, 1, 6, 0, 1}), nil, accepted, nil},
		{"memory", good(t, node, mustHex("890600000000000004d2")), nil, accepted, nil},

		// Row 15.
		{"features changed", good(t, node, ip4), func(p *parts) { p.features = 0 }, banLong, identity.ErrBadSignature},
		{"version changed", good(t, node, ip4), func(p *parts) { p.version = 1 }, banLong, identity.ErrBadSignature},
		{"date changed", good(t, node, ip4), func(p *parts) { p.updatedAt-- }, banLong, identity.ErrBadSignature},
		{"address changed", good(t, node, ip4), func(p *parts) { p.claim.Addresses = [][]byte{onion3} }, banLong, identity.ErrBadSignature},
		{"order changed", good(t, node, ip4, onion3), func(p *parts) { p.claim.Addresses = [][]byte{onion3, ip4} }, banLong, identity.ErrBadSignature},
		{"s changed", good(t, node, ip4), func(p *parts) { p.s = append([]byte{p.s[0] ^ 1}, p.s[1:]...) }, banLong, identity.ErrBadSignature},
		{"R changed", good(t, node, ip4), func(p *parts) { k := other.PublicKey(); p.nonce = k[:] }, banLong, identity.ErrBadSignature},
		{"no address, features changed", good(t, node), func(p *parts) { p.features = 0 }, banLong, identity.ErrBadSignature},
		{"dated 24 h ahead", of(sign(t, node, now.Add(24*time.Hour), ip4)), nil, accepted, nil},
		{"dated 24 h 1 s ahead", of(sign(t, node, now.Add(24*time.Hour+time.Second), ip4)), nil, banLong, identity.ErrClaimFromFuture},
		{"the last date", good(t, node, ip4), func(p *parts) { p.updatedAt = 8_210_266_876_799 }, banLong, identity.ErrClaimFromFuture},
		{"dated -1", good(t, node, ip4), func(p *parts) { p.updatedAt = -1 }, banLong, identity.ErrClaimBeforeEpoch},
		{"the first date", good(t, node, ip4), func(p *parts) { p.updatedAt = -8_334_601_228_800 }, banLong, identity.ErrClaimBeforeEpoch},
		{"dated 0", of(sign(t, node, time.Unix(0, 0), ip4)), nil, accepted, nil},
	} {
		if c.change != nil {
			c.change(&c.p)
		}
		m, err := identify.Decode(c.p.body(), secret(t).PublicKey(), tari, now)
		if verdict(err) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %v (%s), want %v (%s)", c.name, err, verdict(err), c.err, c.want)
		}
		if err != nil {
			if m.Claim.Addresses != nil || m.Protocols != nil || m.UserAgent != "" || !m.Claim.Key.IsZero() {
				t.Errorf("%s: got %+v with an error, want nothing", c.name, m)
			}
			continue
		}
		if !slices.EqualFunc(m.Claim.Addresses, c.p.claim.Addresses, bytes.Equal) || m.UserAgent != string(c.p.agent) || len(m.Protocols) != len(c.p.protocols) {
			t.Errorf("%s: got %+v, want what was sent", c.name, m)
		}
	}
	if _, err := identify.Decode(good(t, node, ip4).body(), other.PublicKey(), tari, now); verdict(err) != banLong || !errors.Is(err, identity.ErrBadSignature) {
		t.Errorf("another key: got %v, want a ban of 2 h", err)
	}
}

// With two faults the earlier row decides.
//
// conforms: comms 50, 51
func TestOrderOfChecks(t *testing.T) {
	unparsable, malformed := []byte{0xff}, ip4[:5]
	faults := []struct {
		row  int
		do   func(*parts)
		want string
		err  error
	}{
		{5, func(p *parts) { p.extra = raw{0x07} }, banLong, identify.ErrUndecodable},
		{6, func(p *parts) { p.protocols = ids(21) }, banLong, identify.ErrTooMany},
		{9, func(p *parts) { p.claim.Addresses = append(repeat(5, ip4), p.claim.Addresses...) }, banLong, identify.ErrTooMany},
		{10, func(p *parts) { p.agent = make([]byte, 51) }, banLong, identify.ErrTooMany},
		{11, func(p *parts) { p.claim.Addresses = append([][]byte{unparsable}, p.claim.Addresses...) }, noBan, address.ErrUnparsable},
		{12, func(p *parts) { p.features |= 4 }, noBan, identify.ErrBadFeatures},
		{13, func(p *parts) { p.unsigned = true }, noBan, identify.ErrNoSignature},
		{14, func(p *parts) { p.claim.Addresses = append([][]byte{malformed}, p.claim.Addresses...) }, banLong, address.ErrMalformed},
		{15, func(p *parts) { p.updatedAt++ }, banLong, identity.ErrBadSignature},
	}
	for i, first := range faults {
		for _, second := range faults[i+1:] {
			p := good(t, identity.FeatureNode, ip4)
			second.do(&p)
			first.do(&p)
			_, err := identify.Decode(p.body(), secret(t).PublicKey(), tari, now)
			if verdict(err) != first.want || !errors.Is(err, first.err) {
				t.Errorf("rows %d and %d: got %v (%s), want %v (%s)", first.row, second.row, err, verdict(err), first.err, first.want)
			}
		}
	}
	// A version above ours comes before everything in the body.
	frame := append(header(1, 2000), 0x07)
	if _, err := identify.Read(bytes.NewReader(frame), tari); verdict(err) != banShort {
		t.Errorf("version and length: got %v, want a ban of 2 min", err)
	}
}

// The limits are the profile's.
func TestLimitsOfTheProfile(t *testing.T) {
	p := tari
	p.Limits.Protocols, p.Limits.Addresses, p.Limits.UserAgent, p.Limits.ProtocolID, p.Limits.ClaimSkew = 1, 1, 3, 9, time.Minute
	decode := func(m parts) error {
		_, err := identify.Decode(m.body(), secret(t).PublicKey(), p, now)
		return err
	}
	if err := decode(good(t, 0, ip4)); err != nil {
		t.Errorf("within: got %v, want none", err)
	}
	for name, m := range map[string]parts{
		"two addresses": good(t, 0, ip4, ip4),
		"two protocols": func() parts { m := good(t, 0, ip4); m.protocols = ids(2); return m }(),
		"long agent":    func() parts { m := good(t, 0, ip4); m.agent = []byte("xxxx"); return m }(),
		"long id":       func() parts { m := good(t, 0, ip4); m.protocols = []string{"0123456789"}; return m }(),
		"two min ahead": of(sign(t, 0, now.Add(2*time.Minute), ip4)),
	} {
		if err := decode(m); verdict(err) != banLong {
			t.Errorf("%s: got %v, want a ban of 2 h", name, err)
		}
	}
	p.Limits.IdentityBody = 3
	if _, err := identify.Read(bytes.NewReader(header(0, 4)), p); verdict(err) != banLong {
		t.Errorf("body: got %v, want a ban of 2 h", err)
	}
}

// conforms: comms 15; V 7
func TestWhatWeNeverSend(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*identify.Message)
		ok     bool
	}{
		{"good", func(*identify.Message) {}, true},
		{"no address", func(m *identify.Message) { m.Claim.Addresses = nil }, false},
		{"5 addresses", func(m *identify.Message) { m.Claim.Addresses = repeat(5, ip4) }, true},
		{"6 addresses", func(m *identify.Message) { m.Claim.Addresses = repeat(6, ip4) }, false},
		{"malformed address", func(m *identify.Message) { m.Claim.Addresses = [][]byte{ip4, ip4[:5]} }, false},
		{"dns address", func(m *identify.Message) { m.Claim.Addresses = [][]byte{append([]byte{0x35}, dns4("a.b")[1:]...)} }, false},
		{"unparsable address", func(m *identify.Message) { m.Claim.Addresses = [][]byte{{0xff}} }, false},
		{"slash in a name", func(m *identify.Message) { m.Claim.Addresses = [][]byte{dns4("a/b")} }, false},
		{"unknown features", func(m *identify.Message) { m.Claim.Features = 4 }, false},
		{"no protocols", func(m *identify.Message) { m.Protocols = nil }, true},
		{"20 protocols", func(m *identify.Message) { m.Protocols = repeat(20, protocol.ID("x")) }, true},
		{"21 protocols", func(m *identify.Message) { m.Protocols = repeat(21, protocol.ID("x")) }, false},
		{"id of 50 bytes", func(m *identify.Message) { m.Protocols = []protocol.ID{protocol.ID(strings.Repeat("x", 50))} }, true},
		{"id of 51 bytes", func(m *identify.Message) { m.Protocols = []protocol.ID{protocol.ID(strings.Repeat("x", 51))} }, false},
		{"id with a comma", func(m *identify.Message) { m.Protocols = []protocol.ID{"a,b"} }, false},
		{"id that is not ASCII", func(m *identify.Message) { m.Protocols = []protocol.ID{"ü"} }, false},
		{"empty id", func(m *identify.Message) { m.Protocols = []protocol.ID{""} }, false},
		{"no agent", func(m *identify.Message) { m.UserAgent = "" }, true},
		{"agent of 50 bytes", func(m *identify.Message) { m.UserAgent = strings.Repeat("x", 50) }, true},
		{"agent of 51 bytes", func(m *identify.Message) { m.UserAgent = strings.Repeat("x", 51) }, false},
		{"agent with a comma", func(m *identify.Message) { m.UserAgent = "a, b" }, true},
		{"agent that is not ASCII", func(m *identify.Message) { m.UserAgent = "ü" }, false},
		{"agent with a line break", func(m *identify.Message) { m.UserAgent = "a\n" }, false},
	} {
		m := katMessage(t)
		c.change(&m)
		if err := identify.CheckOwn(m); (err == nil) != c.ok || err != nil && !errors.Is(err, identify.ErrNotSendable) {
			t.Errorf("%s: got %v, want sendable %v", c.name, err, c.ok)
		}
		got, err := identify.Append([]byte("x"), 0, m)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, identify.ErrNotSendable) {
			t.Errorf("append %s: got %v, want sendable %v", c.name, err, c.ok)
		}
		if err != nil && string(got) != "x" {
			t.Errorf("append %s: got %x with an error, want dst as it was", c.name, got)
		}
	}
}

// conforms: comms 47
func TestBodyOf1024Bytes(t *testing.T) {
	m := katMessage(t)
	// 10 bytes of address, 2 of features, 76 of signature, 17 ids of 52, one
	// of 12, and an agent of 2 + 38.
	m.Claim.Addresses = [][]byte{ip4}
	m.Protocols = append(repeat(17, protocol.ID(strings.Repeat("x", 50))), "0123456789")
	m.UserAgent = strings.Repeat("a", 38)
	frame, err := identify.Append(nil, 0, m)
	if err != nil || len(frame) != identify.HeaderLen+1024 {
		t.Fatalf("exactly: got %d bytes, %v, want 1027", len(frame), err)
	}
	if got := binary.LittleEndian.Uint16(frame[1:]); got != 1024 {
		t.Errorf("length: got %d, want 1024 little-endian", got)
	}
	m.UserAgent += "a"
	if frame, err := identify.Append(nil, 0, m); !errors.Is(err, identify.ErrNotSendable) || len(frame) != 0 {
		t.Errorf("one more: got %d bytes, %v, want ErrNotSendable", len(frame), err)
	}
}

// The received slice may be used again: the message holds copies.
func TestDecodeCopies(t *testing.T) {
	body := mustHex(katFrame)[identify.HeaderLen:]
	m, err := identify.Decode(body, secret(t).PublicKey(), tari, now)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	checkMessage(t, m, katMessage(t))
}

func FuzzIdentifyDecode(f *testing.F) {
	key := secret(f).PublicKey()
	for _, p := range []parts{
		good(f, identity.FeatureNode, ip4, onion3),
		good(f, 0),
		good(f, 0, dns4("a/b")),
		good(f, 4, []byte{0xff}),
	} {
		f.Add(p.body())
	}
	f.Add(mustHex(katFrame)[identify.HeaderLen:])
	f.Add([]byte{0x07})
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := identify.Decode(body, key, tari, now)
		if err != nil {
			if v := verdict(err); v != noBan && v != banLong {
				t.Fatalf("got %v (%s), want no ban or 2 h", err, v)
			}
			return
		}
		if err := m.Claim.Verify(now); err != nil {
			t.Fatalf("accepted: %v", err)
		}
		if len(m.Claim.Addresses) > 5 || len(m.Protocols) > 20 || len(m.UserAgent) > 50 || !m.Claim.Features.Valid() {
			t.Fatalf("accepted: %+v", m)
		}
		for _, a := range m.Claim.Addresses {
			if err := address.CheckBytes(a); err != nil {
				t.Fatalf("accepted: %v", err)
			}
		}
		// What we could have sent ourselves says the same when sent again.
		frame, err := identify.Append(nil, 0, m)
		if err != nil {
			return
		}
		again, err := identify.Decode(frame[identify.HeaderLen:], key, tari, now)
		if err != nil {
			t.Fatal(err)
		}
		checkMessage(t, again, m)
	})
}

func FuzzIdentifyRead(f *testing.F) {
	f.Add(mustHex(katFrame))
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{0, 1, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		body, err := identify.Read(r, tari)
		if err != nil {
			return
		}
		if len(body) > 1024 || !bytes.Equal(in[identify.HeaderLen:len(in)-r.Len()], body) {
			t.Fatalf("got %x of %x", body, in)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	m := katMessage(b)
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identify.Append(buf, 0, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	key := secret(b).PublicKey()
	body := mustHex(katFrame)[identify.HeaderLen:]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identify.Decode(body, key, tari, now); err != nil {
			b.Fatal(err)
		}
	}
}
