package v1_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	v1 "github.com/gamelan-p2p/gamelan/dht/kad/wire/v1"
)

const helloKey = "6db6286c37fcb002beb2e84629e23d710d51393c24a773a48ced931671f375b7"

// TestKnownMessages encodes and decodes the two known messages of kad B11.
//
// conforms: kad 16
func TestKnownMessages(t *testing.T) {
	request := kad.Message{Verb: kad.FindNode, ID: kad.RequestNumber(7), Timeout: time.Second, Target: kad.ImmutableKey([]byte("hello")), Want: 20}
	want := unhex(t, "080710e8075a240a20"+helloKey+"1014")
	if got, err := v1.AppendRequest(nil, &request); err != nil || !bytes.Equal(got, want) {
		t.Errorf("request: got %x and %v, want %x", got, err, want)
	}
	if got, err := v1.DecodeRequest(want); err != nil || !reflect.DeepEqual(got, request) {
		t.Errorf("request: got %+v and %v, want %+v", got, err, request)
	}
	response := kad.Message{Verb: kad.Reply, ID: kad.RequestNumber(7), Record: &kad.Record{
		Kind: kad.Immutable, Key: kad.ImmutableKey([]byte("hello")), Value: []byte("hello"),
	}}
	want = unhex(t, "0807322b08011220"+helloKey+"1a0568656c6c6f")
	if got, err := v1.AppendResponse(nil, &response); err != nil || !bytes.Equal(got, want) {
		t.Errorf("response: got %x and %v, want %x", got, err, want)
	}
	if got, err := v1.DecodeResponse(want); err != nil || !reflect.DeepEqual(got, response) {
		t.Errorf("response: got %+v and %v, want %+v", got, err, response)
	}
}

// everything is a mutable record with a value in each field.
func everything() *kad.Record {
	return &kad.Record{
		Kind: kad.Mutable, Key: kad.ID{1}, Value: []byte("value"), Alg: 1, PublicKey: bytes.Repeat([]byte{2}, 32), Salt: []byte("salt"),
		Seq: 1 << 60, Expires: 1_800_000_000, Flags: 1, Signature: bytes.Repeat([]byte{3}, 64),
	}
}

func requests() []kad.Message {
	head := kad.Message{ID: kad.RequestNumber(1 << 63), Timeout: 3 * time.Second, ReadOnly: true}
	with := func(change func(*kad.Message)) kad.Message {
		m := head
		change(&m)
		return m
	}
	return []kad.Message{
		{Verb: kad.Ping},
		with(func(m *kad.Message) { m.Verb, m.HaveSeq = kad.Ping, 5 }),
		with(func(m *kad.Message) { m.Verb, m.Target, m.Want = kad.FindNode, kad.ID{9}, 40 }),
		{Verb: kad.FindNode},
		with(func(m *kad.Message) {
			m.Verb, m.Target, m.Want, m.HaveSeq, m.HaveExpires = kad.FindValue, kad.ID{9}, 3, 4, 5
		}),
		with(func(m *kad.Message) {
			m.Verb, m.Target, m.Record, m.Cached, m.TTL = kad.Store, kad.ID{1}, everything(), true, time.Hour
		}),
		{Verb: kad.Store, Record: &kad.Record{}},
	}
}

func responses(t testing.TB) []kad.Message {
	self := contact(t, 5, "/ip4/93.184.216.34/tcp/9000", "/ip6/2606:2800:220:1::34/tcp/9", "/memory/7", "/ip4/1.1.1.1/tcp/1", "/ip4/1.1.1.1/tcp/2")
	return []kad.Message{
		{Verb: kad.Reply},
		{Verb: kad.Reply, ID: kad.RequestNumber(7), Status: kad.RateLimited, RetryAfter: 1500 * time.Millisecond, Detail: "too fast"},
		{Verb: kad.Reply, ID: kad.RequestNumber(7), Contacts: []kad.Contact{contact(t, 1), contact(t, 2)}, Self: &self},
		{Verb: kad.Reply, ID: kad.RequestNumber(7), Status: kad.SeqTooLow, Record: everything(), Granted: 48 * time.Hour},
		{Verb: kad.Reply, Status: 99},
	}
}

// TestRoundTrip decodes what was encoded, for a message in which each field has a value.
func TestRoundTrip(t *testing.T) {
	for i, m := range requests() {
		b, err := v1.AppendRequest([]byte("before"), &m)
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("request %d: got %x and %v", i, b, err)
		}
		if got, err := v1.DecodeRequest(b[6:]); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("request %d: got %+v and %v, want %+v", i, got, err, m)
		}
	}
	for i, m := range responses(t) {
		b, err := v1.AppendResponse([]byte("before"), &m)
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("response %d: got %x and %v", i, b, err)
		}
		got, err := v1.DecodeResponse(b[6:])
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("response %d: got %+v and %v, want %+v", i, got, err, m)
		}
		for _, c := range got.Contacts {
			if err := c.Verify(wall); err != nil {
				t.Errorf("response %d: got a contact with %v, want its claim to verify", i, err)
			}
		}
	}
	if got, err := v1.DecodeRecord(v1.AppendRecord(nil, everything())); err != nil || !reflect.DeepEqual(got, everything()) {
		t.Errorf("record: got %+v and %v, want the same", got, err)
	}
}

// TestDurations that are no whole units do not become "none".
func TestDurations(t *testing.T) {
	b, err := v1.AppendRequest(nil, &kad.Message{Verb: kad.Store, Record: &kad.Record{}, TTL: time.Millisecond, Timeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	m, err := v1.DecodeRequest(b)
	if err != nil || m.TTL != time.Second || m.Timeout != time.Millisecond {
		t.Errorf("got %s and %s and %v, want the smallest units", m.TTL, m.Timeout, err)
	}
	b, err = v1.AppendRequest(nil, &kad.Message{Verb: kad.Ping, Timeout: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := v1.DecodeRequest(b); err != nil || m.Timeout != (1<<32-1)*time.Millisecond {
		t.Errorf("got %s and %v, want the longest time", m.Timeout, err)
	}
}

func TestProtocolOf(t *testing.T) {
	name := string(bytes.Repeat([]byte("n"), v1.MaxNetwork))
	for network, want := range map[string]int{"": 18, "test": 23, name: 50} {
		if id, err := v1.ProtocolOf(network); err != nil || len(id) != want {
			t.Errorf("%q: got %q and %v, want %d bytes", network, id, err, want)
		}
	}
	if id, err := v1.ProtocolOf(name + "n"); err != v1.ErrNetwork {
		t.Errorf("a long name: got %q and %v, want ErrNetwork", id, err)
	}
}
