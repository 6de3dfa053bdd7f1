package saf_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// wall is the system's clock of the tests.
var wall = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// The node, an author, and somebody else.
var us, author, other = secretOf(1), secretOf(2), secretOf(3)

// secretOf returns the secret whose 32 bytes are all b.
func secretOf(b byte) *identity.Secret {
	s, err := identity.SecretFromBytes(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		panic(err)
	}
	return s
}

// stored is a stored message of a server under the test's control. Its fields are written
// as they are.
type stored struct {
	at     uint64
	header []byte // encoded; nil for none
	body   []byte
}

// response returns the parts of a response with these messages, newest first.
func response(messages ...stored) [][]byte {
	var b []byte
	for _, m := range messages {
		var item []byte
		if m.at != 0 {
			item = protowire.AppendVarint(protowire.AppendTag(item, 1, protowire.VarintType), m.at)
		}
		item = protowire.AppendVarint(protowire.AppendTag(item, 2, protowire.VarintType), 2)
		if m.header != nil {
			item = protowire.AppendBytes(protowire.AppendTag(item, 3, protowire.BytesType), m.header)
		}
		if m.body != nil {
			item = protowire.AppendBytes(protowire.AppendTag(item, 4, protowire.BytesType), m.body)
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), item)
	}
	return [][]byte{b}
}

// body returns the encoded body of an application's message.
func body(text string) []byte {
	return wire.AppendBody(nil, wire.DomainHeader{Type: 1001, Nonce: 7}.Append(nil), []byte(text))
}

// compose returns a message, changed before it is encoded.
func compose(t testing.TB, d wire.Draft, change ...func(*wire.Envelope)) stored {
	t.Helper()
	e, err := wire.Compose(d, author, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&e)
	}
	return stored{at: uint64(wall.Unix()) - 60, header: e.Header.Append(nil), body: e.Body}
}

// sealed returns a message of the author that is encrypted for the key.
func sealed(t testing.TB, to identity.PublicKey, text string, change ...func(*wire.Envelope)) stored {
	t.Helper()
	return compose(t, wire.Draft{Destination: wire.To(to), EncryptFor: to, Body: body(text)}, change...)
}

// unsealed returns a clear message of the author to nobody in particular.
func unsealed(t testing.TB, text string, sign bool, change ...func(*wire.Envelope)) stored {
	t.Helper()
	return compose(t, wire.Draft{Body: body(text), Sign: sign}, change...)
}

// later returns the message as it was stored so long from now.
func (m stored) later(d time.Duration) stored {
	m.at = uint64(wall.Add(d).Unix())
	return m
}

func (m stored) envelope(t testing.TB) wire.Envelope {
	t.Helper()
	b := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), m.header)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), m.body)
	e, err := wire.DecodeEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// never is the memory of a node that has seen nothing.
func never(wire.Hash) uint32 { return 0 }

func judge(parts [][]byte) saf.Judged { return saf.NewJudge(us, never).Response(wall, parts) }

func texts(letters []saf.Letter) (list []string) {
	for _, l := range letters {
		_, body, _ := wire.SplitDomain(l.Parts) // the judge has checked it
		list = append(list, string(body))
	}
	return list
}

// replace returns the signature of an encoded message with another value in a field.
func replace(t testing.TB, signature []byte, number protowire.Number, value []byte) []byte {
	t.Helper()
	sig, err := wire.DecodeSignature(signature)
	if err != nil {
		t.Fatal(err)
	}
	fields := [][]byte{sig.Signer[:], sig.Nonce[:], sig.S[:]}
	fields[number-1] = value
	var b []byte
	for i, f := range fields {
		b = protowire.AppendBytes(protowire.AppendTag(b, protowire.Number(i+1), protowire.BytesType), f)
	}
	return b
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

func setHeader(f func(*wire.Header)) func(*wire.Envelope) {
	return func(e *wire.Envelope) { f(&e.Header) }
}

// TestJudge has a case for each row of the table for stored messages, in its order. Each
// response has a good message, then the one of the case, then another good one: the first is
// delivered in any case, and the last is unless the response is refused.
//
// conforms: dht 104, 105
func TestJudge(t *testing.T) {
	const skipped = -1 // in the column of the ban
	key := us.PublicKey()
	noPoint := bytes.Repeat([]byte{255}, 32)
	clearWith := func(f func(*wire.Header)) stored { return unsealed(t, "bad", true, setHeader(f)) }
	sealedWith := func(f func(*wire.Header)) stored { return sealed(t, key, "bad", setHeader(f)) }
	withoutHeader := unsealed(t, "bad", false)
	withoutHeader.header = nil
	emptyHeader := unsealed(t, "bad", false)
	emptyHeader.header = []byte{}
	withoutBody := unsealed(t, "bad", false)
	withoutBody.body = nil
	damaged := unsealed(t, "bad", false)
	damaged.body = []byte{0xff}
	ciphertext := func(text []byte) stored { // signed, and not what the key opens
		m := sealed(t, key, "bad")
		e := m.envelope(t)
		e.Body = text
		sig, err := wire.Sign(author, e.Binding(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		e.Header.Signature = sig.Append(nil)
		return stored{at: m.at, header: e.Header.Append(nil), body: e.Body}
	}
	expired := func(ago time.Duration) stored {
		return compose(t, wire.Draft{Body: body("bad"), Sign: true, Expires: uint64(wall.Add(-ago).Unix())})
	}
	signature := func(b []byte) stored { return clearWith(func(h *wire.Header) { h.Signature = b }) }
	good := unsealed(t, "good", true).envelope(t).Header.Signature
	huge := unsealed(t, "bad", true)
	huge.at = math.MaxUint64
	typed := func(k wire.MessageType) stored { return clearWith(func(h *wire.Header) { h.Type = k }) }
	for _, tt := range []struct {
		what string
		m    stored
		ban  time.Duration // 0: the message is delivered
		skip saf.Skip
	}{
		{"no header", withoutHeader, protocol.BanMedium, 0},
		{"empty body", withoutBody, protocol.BanMedium, 0},
		{"stored now", unsealed(t, "bad", true).later(0), 0, 0},
		{"stored 5 min ahead", unsealed(t, "bad", true).later(saf.ClockSkew), 0, 0},
		{"stored more than 5 min ahead", unsealed(t, "bad", true).later(saf.ClockSkew + time.Second), 0, 0},
		{"stored a day ahead", unsealed(t, "bad", true).later(saf.ClockOffence), 0, 0},
		{"stored more than a day ahead", unsealed(t, "bad", true).later(saf.ClockOffence + time.Second), protocol.BanLong, 0},
		{"stored at the greatest number", huge, protocol.BanLong, 0},
		{"stored at 0", stored{0, unsealed(t, "bad", true).header, body("bad")}, 0, 0},
		{"header without fields", emptyHeader, protocol.BanMedium, 0},
		{"bad destination", stored{1, append(unsealed(t, "bad", false).header, append([]byte{0x22, 32}, noPoint...)...), body("bad")}, protocol.BanMedium, 0},
		{"ephemeral key that is no point", clearWith(func(h *wire.Header) { h.Ephemeral = noPoint }), protocol.BanMedium, 0},
		{"unknown version", clearWith(func(h *wire.Header) { h.Version = 3 }), protocol.BanMedium, 0},
		{"unknown type", typed(4), protocol.BanMedium, 0},
		{"unknown flag", clearWith(func(h *wire.Header) { h.Flags = 2 }), protocol.BanMedium, 0},
		{"encrypted, no destination", sealedWith(func(h *wire.Header) { h.Destination = wire.Destination{} }), protocol.BanLong, 0},
		{"encrypted, no ephemeral key", sealedWith(func(h *wire.Header) { h.Ephemeral = nil }), protocol.BanLong, 0},
		{"encrypted, not signed", sealedWith(func(h *wire.Header) { h.Signature = nil }), protocol.BanLong, 0},
		{"join", typed(wire.TypeJoin), protocol.BanLong, 0},
		{"discovery", typed(wire.TypeDiscovery), protocol.BanLong, 0},
		{"discovery response", typed(wire.TypeDiscoveryResponse), protocol.BanLong, 0},
		{"request", typed(wire.TypeStoredRequest), protocol.BanLong, 0},
		{"response", typed(wire.TypeStoredMessages), protocol.BanLong, 0},
		{"for another key", sealed(t, other.PublicKey(), "bad"), protocol.BanLong, 0},
		{"clear, for another key", compose(t, wire.Draft{Destination: wire.To(other.PublicKey()), Body: body("bad"), Sign: true}), protocol.BanLong, 0},
		{"clear, for our key", compose(t, wire.Draft{Destination: wire.To(key), Body: body("bad"), Sign: true}), 0, 0},
		{"signature that is no message", signature([]byte{0xff}), protocol.BanMedium, 0},
		{"signature without fields", signature([]byte{0x20, 1}), protocol.BanLong, 0},
		{"signature with a short field", signature(replace(t, good, 2, make([]byte, 31))), protocol.BanLong, 0},
		{"scalar that is not canonical", signature(replace(t, good, 3, noPoint)), protocol.BanLong, 0},
		{"nonce that is no point", signature(replace(t, good, 2, noPoint)), protocol.BanLong, 0},
		{"signature of another message", signature(good), protocol.BanLong, 0},
		{"encrypted, signature of another message", sealedWith(func(h *wire.Header) { h.Signature = good }), protocol.BanLong, 0},
		{"altered expiry", clearWith(func(h *wire.Header) { h.Expires++ }), protocol.BanLong, 0},
		{"altered tag", clearWith(func(h *wire.Header) { h.Tag++ }), 0, 0},
		{"undecryptable", ciphertext(make([]byte, 6016)), skipped, saf.SkipUndecryptable},
		{"clear, undecodable", damaged, protocol.BanMedium, 0},
		{"clear, no message of an application", compose(t, wire.Draft{Body: wire.AppendBody(nil, []byte("only"))}), skipped, saf.SkipBadBody},
		{"delivered before", unsealed(t, "first", false), skipped, saf.SkipDuplicate},
		{"clear, not signed", unsealed(t, "bad", false), 0, 0},
		{"encrypted", sealed(t, key, "bad"), 0, 0},
		{"version 1", compose(t, wire.Draft{Version: 1, Body: body("bad"), Sign: true}), 0, 0},
		{"expired", expired(0), 0, 0},
		{"expired three days ago", expired(dht.StoredLife), 0, 0},
		{"expired more than three days ago", expired(dht.StoredLife + time.Second), skipped, saf.SkipOld},
		{"expired in 1970", compose(t, wire.Draft{Body: body("bad"), Sign: true, Expires: 1}), skipped, saf.SkipOld},
		{"never expires", compose(t, wire.Draft{Body: body("bad"), Sign: true}), 0, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			d := judge(response(unsealed(t, "first", false), tt.m, unsealed(t, "last", true)))
			want := []string{"last", "first"}
			switch tt.ban {
			case 0:
				want = []string{"last", "bad", "first"}
			case skipped:
				if d.Skipped[tt.skip] != 1 || d.Skipped.Sum() != 1 {
					t.Errorf("got %v skipped, want one for %q", d.Skipped, tt.skip)
				}
			default:
				want = []string{"first"}
				if d.Violation == nil || d.Violation.Ban != tt.ban || !errors.Is(d.Violation, d.Err) {
					t.Errorf("got %v, %v, want a ban of %v", d.Err, d.Violation, tt.ban)
				}
			}
			if tt.ban <= 0 && (d.Err != nil || d.Violation != nil) {
				t.Errorf("got %v, %v, want no fault", d.Err, d.Violation)
			}
			if got := texts(d.Letters); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestJudgeResponse: what is wrong with a response as a whole.
//
// conforms: dht 103
func TestJudgeResponse(t *testing.T) {
	many := func(n int) [][]byte {
		list := make([]stored, n)
		for i := range list {
			list[i] = unsealed(t, fmt.Sprint(i), false)
		}
		return response(list...)
	}
	for _, tt := range []struct {
		what    string
		parts   [][]byte
		letters int
		refused bool
		ban     time.Duration
	}{
		{"no part", nil, 0, true, 0},
		{"undecodable", [][]byte{{0xff}}, 0, true, 0},
		{"empty", [][]byte{{}}, 0, false, 0},
		{"second part", append(many(1), []byte{0xff}), 1, false, 0},
		{"another type", [][]byte{append(many(1)[0], 0x18, 3)}, 1, false, 0},
		{"unknown type", [][]byte{append(many(1)[0], 0x18, 77)}, 1, false, 0},
		{"50 messages", many(50), 50, false, 0},
		{"51 messages", many(51), 0, true, protocol.BanLong},
		{"1024 messages", many(1024), 0, true, protocol.BanLong},
		{"3000 messages", many(3000), 0, true, protocol.BanLong},
	} {
		d := judge(tt.parts)
		if len(d.Letters) != tt.letters || (d.Err != nil) != tt.refused {
			t.Errorf("%s: got %d letters, %v", tt.what, len(d.Letters), d.Err)
		}
		if (d.Violation != nil) != (tt.ban > 0) || d.Violation != nil && d.Violation.Ban != tt.ban {
			t.Errorf("%s: got %v, want a ban of %v", tt.what, d.Violation, tt.ban)
		}
	}
}

// TestJudgeProves: the author of a letter is who signed it, and every signature is verified,
// that of the last message like that of the first.
//
// conforms: dht 106
func TestJudgeProves(t *testing.T) {
	key := us.PublicKey()
	d := judge(response(sealed(t, key, "sealed"), unsealed(t, "signed", true), unsealed(t, "not signed", false)))
	if got := texts(d.Letters); !slices.Equal(got, []string{"not signed", "signed", "sealed"}) {
		t.Fatalf("got %v, %v", got, d.Err)
	}
	for i, want := range []identity.PublicKey{{}, author.PublicKey(), author.PublicKey()} {
		l := d.Letters[i]
		head, _, err := wire.SplitDomain(l.Parts)
		if err != nil || l.From != want || head.Type != 1001 || head.Nonce != 7 || l.Envelope.Header.Encrypted() != (i == 2) {
			t.Errorf("got %+v, want author %v", l, want)
		}
	}
	for i := range saf.AnswerLimit {
		list := make([]stored, saf.AnswerLimit)
		for k := range list {
			list[k] = unsealed(t, fmt.Sprint(k), k%2 == 0 || k == i, func(e *wire.Envelope) {
				if k == i {
					e.Header.Signature = flip(e.Header.Signature)
				}
			})
		}
		if d := judge(response(list...)); d.Violation == nil || len(d.Letters) != i {
			t.Errorf("bad signature of message %d: got %d letters, %v", i, len(d.Letters), d.Err)
		}
	}
}

// TestJudgeLooksOnly: judging a response does not record its messages as seen, and a
// message that was seen is skipped, even if its signature is bad now.
func TestJudgeLooksOnly(t *testing.T) {
	seen := make(map[wire.Hash]uint32)
	j := saf.NewJudge(us, func(h wire.Hash) uint32 { return seen[h] })
	m := unsealed(t, "text", true)
	for range 3 {
		if d := j.Response(wall, response(m, m)); len(d.Letters) != 1 || d.Skipped[saf.SkipDuplicate] != 1 {
			t.Fatalf("got %d letters, %v skipped, %v", len(d.Letters), d.Skipped, d.Err)
		}
	}
	e := m.envelope(t)
	seen[e.DedupHash()] = 1
	e.Header.Expires++
	altered := stored{m.at, e.Header.Append(nil), m.body}
	if d := j.Response(wall, response(m, altered)); len(d.Letters) != 0 || d.Skipped[saf.SkipDuplicate] != 2 || d.Newest != m.at {
		t.Errorf("got %d letters, %v skipped, %v", len(d.Letters), d.Skipped, d.Err)
	}
}

// TestJudgeCounts: what a run needs to know of a response.
func TestJudgeCounts(t *testing.T) {
	ahead := unsealed(t, "ahead", true).later(saf.ClockSkew + time.Minute)
	newest := unsealed(t, "newest", true).later(-time.Second)
	parts := response(ahead, newest, unsealed(t, "older", true))
	d := judge(parts)
	if d.Bytes != len(parts[0]) || d.Messages != 3 || len(d.Hashes) != 3 || d.Ahead != 1 || d.Newest != newest.at {
		t.Errorf("got %d bytes, %d messages, %d hashes, %d ahead, newest %d", d.Bytes, d.Messages, len(d.Hashes), d.Ahead, d.Newest)
	}
	seen := saf.NewJudge(us, func(wire.Hash) uint32 { return 1 })
	if d := seen.Response(wall, parts); len(d.Letters) != 0 || d.Ahead != 0 || d.Newest != newest.at {
		t.Errorf("again: got %d letters, %d ahead, newest %d", len(d.Letters), d.Ahead, d.Newest)
	}
}
