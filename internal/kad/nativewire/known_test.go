package nativewire_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

const helloKey = "6db6286c37fcb002beb2e84629e23d710d51393c24a773a48ced931671f375b7"

// TestKnownMessages encodes and decodes the two known messages of kad B11.
//
// conforms: kad 16
func TestKnownMessages(t *testing.T) {
	request := overlay.Message{Verb: overlay.FindNode, ID: overlay.RequestNumber(7), Timeout: time.Second, Target: overlay.ImmutableKey([]byte("hello")), Want: 20}
	want := unhex(t, "080710e8075a240a20"+helloKey+"1014")
	if got, err := nativewire.AppendRequest(nil, &request); err != nil || !bytes.Equal(got, want) {
		t.Errorf("request: got %x and %v, want %x", got, err, want)
	}
	if got, err := nativewire.DecodeRequest(want); err != nil || !reflect.DeepEqual(got, request) {
		t.Errorf("request: got %+v and %v, want %+v", got, err, request)
	}
	response := overlay.Message{Verb: overlay.Reply, ID: overlay.RequestNumber(7), Record: &overlay.Record{
		Kind: overlay.Immutable, Key: overlay.ImmutableKey([]byte("hello")), Value: []byte("hello"),
	}}
	want = unhex(t, "0807322b08011220"+helloKey+"1a0568656c6c6f")
	if got, err := nativewire.AppendResponse(nil, &response); err != nil || !bytes.Equal(got, want) {
		t.Errorf("response: got %x and %v, want %x", got, err, want)
	}
	if got, err := nativewire.DecodeResponse(want); err != nil || !reflect.DeepEqual(got, response) {
		t.Errorf("response: got %+v and %v, want %+v", got, err, response)
	}
}

// everything is a mutable record with a value in each field.
func everything() *overlay.Record {
	return &overlay.Record{
		Kind: overlay.Mutable, Key: overlay.ID{1}, Value: []byte("value"), Alg: 1, PublicKey: bytes.Repeat([]byte{2}, 32), Salt: []byte("salt"),
		Seq: 1 << 60, Expires: 1_800_000_000, Flags: 1, Signature: bytes.Repeat([]byte{3}, 64),
	}
}

func requests() []overlay.Message {
	head := overlay.Message{ID: overlay.RequestNumber(1 << 63), Timeout: 3 * time.Second, ReadOnly: true}
	with := func(change func(*overlay.Message)) overlay.Message {
		m := head
		change(&m)
		return m
	}
	return []overlay.Message{
		{Verb: overlay.Ping},
		with(func(m *overlay.Message) { m.Verb, m.HaveSeq = overlay.Ping, 5 }),
		with(func(m *overlay.Message) { m.Verb, m.Target, m.Want = overlay.FindNode, overlay.ID{9}, 40 }),
		{Verb: overlay.FindNode},
		with(func(m *overlay.Message) {
			m.Verb, m.Target, m.Want, m.HaveSeq, m.HaveExpires = overlay.FindValue, overlay.ID{9}, 3, 4, 5
		}),
		with(func(m *overlay.Message) {
			m.Verb, m.Target, m.Record, m.Cached, m.TTL = overlay.Store, overlay.ID{1}, everything(), true, time.Hour
		}),
		{Verb: overlay.Store, Record: &overlay.Record{}},
	}
}

func responses(t testing.TB) []overlay.Message {
	self := contact(t, 5, "/ip4/93.184.216.34/tcp/9000", "/ip6/2606:2800:220:1::34/tcp/9", "/memory/7", "/ip4/1.1.1.1/tcp/1", "/ip4/1.1.1.1/tcp/2")
	return []overlay.Message{
		{Verb: overlay.Reply},
		{Verb: overlay.Reply, ID: overlay.RequestNumber(7), Status: overlay.RateLimited, RetryAfter: 1500 * time.Millisecond, Detail: "too fast"},
		{Verb: overlay.Reply, ID: overlay.RequestNumber(7), Contacts: []overlay.Contact{contact(t, 1), contact(t, 2)}, Self: &self},
		{Verb: overlay.Reply, ID: overlay.RequestNumber(7), Status: overlay.SeqTooLow, Record: everything(), Granted: 48 * time.Hour},
		{Verb: overlay.Reply, Status: 99},
	}
}

// TestRoundTrip decodes what was encoded, for a message in which each field has a value.
func TestRoundTrip(t *testing.T) {
	for i, m := range requests() {
		b, err := nativewire.AppendRequest([]byte("before"), &m)
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("request %d: got %x and %v", i, b, err)
		}
		if got, err := nativewire.DecodeRequest(b[6:]); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("request %d: got %+v and %v, want %+v", i, got, err, m)
		}
	}
	for i, m := range responses(t) {
		b, err := nativewire.AppendResponse([]byte("before"), &m)
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("response %d: got %x and %v", i, b, err)
		}
		got, err := nativewire.DecodeResponse(b[6:])
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("response %d: got %+v and %v, want %+v", i, got, err, m)
		}
		for _, c := range got.Contacts {
			if err := c.Verify(wall); err != nil {
				t.Errorf("response %d: got a contact with %v, want its claim to verify", i, err)
			}
		}
	}
	if got, err := nativewire.DecodeRecord(nativewire.AppendRecord(nil, everything())); err != nil || !reflect.DeepEqual(got, everything()) {
		t.Errorf("record: got %+v and %v, want the same", got, err)
	}
}

// TestDurations that are no whole units do not become "none".
func TestDurations(t *testing.T) {
	b, err := nativewire.AppendRequest(nil, &overlay.Message{Verb: overlay.Store, Record: &overlay.Record{}, TTL: time.Millisecond, Timeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	m, err := nativewire.DecodeRequest(b)
	if err != nil || m.TTL != time.Second || m.Timeout != time.Millisecond {
		t.Errorf("got %s and %s and %v, want the smallest units", m.TTL, m.Timeout, err)
	}
	b, err = nativewire.AppendRequest(nil, &overlay.Message{Verb: overlay.Ping, Timeout: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := nativewire.DecodeRequest(b); err != nil || m.Timeout != (1<<32-1)*time.Millisecond {
		t.Errorf("got %s and %v, want the longest time", m.Timeout, err)
	}
}

func TestProtocolOf(t *testing.T) {
	name := string(bytes.Repeat([]byte("n"), nativewire.MaxNetwork))
	for network, want := range map[string]int{"": 18, "test": 23, name: 50} {
		if id, err := nativewire.ProtocolOf(network); err != nil || len(id) != want {
			t.Errorf("%q: got %q and %v, want %d bytes", network, id, err, want)
		}
	}
	if id, err := nativewire.ProtocolOf(name + "n"); err != nativewire.ErrNetwork {
		t.Errorf("a long name: got %q and %v, want ErrNetwork", id, err)
	}
}
