package nativewire_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

func typed(t *testing.T, what string, err, cause error) {
	t.Helper()
	var decode *overlay.DecodeError
	if !errors.As(err, &decode) || !errors.Is(err, cause) || decode.Stage == "" {
		t.Errorf("%s: got %v, want a DecodeError of %v", what, err, cause)
	}
}

// TestBodies decodes requests with unknown fields, unknown bodies, several bodies and none.
//
// conforms: kad 53, 67
func TestBodies(t *testing.T) {
	id := varint(1, 7)
	find := item(11, item(1, make([]byte, 32)))
	for name, c := range map[string]struct {
		b      []byte
		verb   overlay.Verb
		cause  error
		status overlay.Status
	}{
		"unknown fields":         {slices.Concat(varint(3, 1), id, item(5, []byte("x")), varint(9, 5), find), overlay.FindNode, nil, 0},
		"unknown inside":         {slices.Concat(id, item(10, item(77, []byte("x")))), overlay.Ping, nil, 0},
		"two bodies":             {slices.Concat(id, item(10, nil), find), overlay.FindNode, nil, 0},
		"unknown body and known": {slices.Concat(id, find, item(14, nil)), overlay.FindNode, nil, 0},
		"unknown body":           {slices.Concat(id, item(14, nil)), 0, nativewire.ErrUnknownBody, overlay.Unsupported},
		"another unknown body":   {slices.Concat(id, item(1000, nil)), 0, nativewire.ErrUnknownBody, overlay.Unsupported},
		"no body":                {id, 0, nativewire.ErrNoBody, overlay.BadRequest},
		"no body, unknown field": {slices.Concat(id, item(5, nil)), 0, nativewire.ErrNoBody, overlay.BadRequest},
		"store of nothing":       {slices.Concat(id, item(13, nil)), 0, nativewire.ErrNoBody, overlay.BadRequest},
		"large record":           {slices.Concat(id, item(13, item(1, make([]byte, nativewire.MaxRecord+1)))), 0, new(overlay.ValueTooLargeError), overlay.TooLarge},
	} {
		m, err := nativewire.DecodeRequest(c.b)
		if m.ID.Number() != 7 {
			t.Errorf("%s: got id %d, want 7, to answer it", name, m.ID.Number())
		}
		if c.cause == nil {
			if err != nil || m.Verb != c.verb {
				t.Errorf("%s: got %v and %v, want %v", name, m.Verb, err, c.verb)
			}
			continue
		}
		var large *overlay.ValueTooLargeError
		if status, ok := nativewire.StatusOf(err); !ok || status != c.status || c.status != overlay.TooLarge && !errors.Is(err, c.cause) || c.status == overlay.TooLarge && !errors.As(err, &large) {
			t.Errorf("%s: got %v with status %v, want %v with %v", name, err, status, c.cause, c.status)
		}
	}
}

// TestMalformed decodes requests and responses that no writer of protocol buffers made:
// they are dropped, without an answer.
func TestMalformed(t *testing.T) {
	for name, c := range map[string]struct {
		b     []byte
		cause error
	}{
		"half a tag":                {[]byte{0x80}, nativewire.ErrMalformed},
		"half a number":             {[]byte{0x08, 0x80}, nativewire.ErrMalformed},
		"a long length":             {[]byte{0x52, 0xff, 0xff, 0xff, 0xff, 0x0f}, nativewire.ErrMalformed},
		"field 0":                   {[]byte{0x00, 0x01}, nativewire.ErrMalformed},
		"a group":                   {[]byte{0x53, 0x54}, nativewire.ErrMalformed},
		"the end of a group":        {[]byte{0x54}, nativewire.ErrMalformed},
		"wire type 7":               {[]byte{0x57}, nativewire.ErrMalformed},
		"an id that is bytes":       {item(1, nil), nativewire.ErrMalformed},
		"a body that is none":       {varint(10, 1), nativewire.ErrMalformed},
		"a body with half a tag":    {item(10, []byte{0x80}), nativewire.ErrMalformed},
		"a short target":            {item(11, item(1, make([]byte, 31))), overlay.ErrIDLength},
		"a long target":             {item(12, item(1, make([]byte, 33))), overlay.ErrIDLength},
		"a Tari node id":            {item(12, item(1, make([]byte, 13))), overlay.ErrIDLength},
		"no target":                 {item(11, nil), overlay.ErrIDLength},
		"no key":                    {item(12, varint(2, 20)), overlay.ErrIDLength},
		"a record with a bad key":   {item(13, item(1, item(2, make([]byte, 20)))), overlay.ErrIDLength},
		"a record without a key":    {item(13, item(1, varint(1, 1))), overlay.ErrIDLength},
		"a target that is a number": {item(11, varint(1, 1)), nativewire.ErrMalformed},
		"too many fields":           {bytes.Repeat(varint(99, 1), 20_000), nativewire.ErrTooLong},
		"too long":                  {item(99, make([]byte, nativewire.MaxFrame)), nativewire.ErrTooLong},
	} {
		m, err := nativewire.DecodeRequest(c.b)
		typed(t, name, err, c.cause)
		if _, ok := nativewire.StatusOf(err); ok || m.Verb != overlay.NoVerb {
			t.Errorf("%s: got %v with an answer, want it dropped", name, m.Verb)
		}
	}
	for name, c := range map[string]struct {
		b     []byte
		cause error
	}{
		"half a tag":              {[]byte{0x80}, nativewire.ErrMalformed},
		"an id that is bytes":     {item(1, nil), nativewire.ErrMalformed},
		"a detail that is none":   {varint(4, 1), nativewire.ErrMalformed},
		"a node that is a number": {varint(5, 1), nativewire.ErrMalformed},
		"node 41 as a number":     {append(bytes.Repeat(item(5, nil), nativewire.MaxContacts), varint(5, 1)...), nativewire.ErrMalformed},
		"half a node":             {item(5, []byte{0x80}), nativewire.ErrMalformed},
		"half a signature":        {item(5, item(5, []byte{0x80})), nativewire.ErrMalformed},
		"half a self":             {item(9, []byte{0x80}), nativewire.ErrMalformed},
		"a record with a bad key": {item(6, item(2, make([]byte, 31))), overlay.ErrIDLength},
		"too long":                {item(99, make([]byte, nativewire.MaxFrame)), nativewire.ErrTooLong},
		"too many fields":         {item(5, bytes.Repeat(varint(99, 1), 20_000)), nativewire.ErrTooLong},
	} {
		m, err := nativewire.DecodeResponse(c.b)
		typed(t, name, err, c.cause)
		if m.Verb != overlay.NoVerb {
			t.Errorf("%s: got %v, want no message", name, m.Verb)
		}
	}
}

// TestLongRecord decodes an encoded record of 9 KiB, most of it an unknown field, and of one
// byte more.
//
// conforms: kad 43
func TestLongRecord(t *testing.T) {
	known := nativewire.AppendRecord(nil, everything())
	for _, more := range []int{0, 1} {
		b := append(slices.Clip(known), item(99, make([]byte, 9<<10-len(known)-4+more))...)
		if len(b) != 9<<10+more {
			t.Fatalf("got %d bytes, want 9 KiB and %d", len(b), more)
		}
		_, err := nativewire.DecodeRecord(b)
		var large *overlay.ValueTooLargeError
		if more == 0 && err != nil || more == 1 && (!errors.As(err, &large) || large.Max != 9<<10) {
			t.Errorf("%d bytes: got %v, want more than 9 KiB refused with the limit", len(b), err)
		}
	}
}

// TestNodesThatAreNoContacts puts each between two good ones: it is left out and counted.
//
// conforms: kad 54, 67
func TestNodesThatAreNoContacts(t *testing.T) {
	good := contact(t, 1)
	listed := func(m *overlay.Message) []byte {
		b, err := nativewire.AppendResponse(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := listed(&overlay.Message{Verb: overlay.Reply, Contacts: []overlay.Contact{good}})
	node := func(change func(*overlay.Contact)) []byte {
		c := good
		claim := *good.Claim
		claim.Addresses = slices.Clone(claim.Addresses)
		c.Claim = &claim
		change(&c)
		return listed(&overlay.Message{Verb: overlay.Reply, Contacts: []overlay.Contact{c}})
	}
	udp := binaryAddress(t, "/ip4/93.184.216.34/udp/9000")
	tcp := good.Claim.Addresses[0]
	for name, b := range map[string][]byte{
		"no addresses":            node(func(c *overlay.Contact) { c.Claim.Addresses = nil }),
		"six addresses":           node(func(c *overlay.Contact) { c.Claim.Addresses = [][]byte{tcp, tcp, tcp, tcp, tcp, tcp} }),
		"1,000 addresses":         node(func(c *overlay.Contact) { c.Claim.Addresses = slices.Repeat([][]byte{tcp}, 1000) }),
		"an address of UDP":       node(func(c *overlay.Contact) { c.Claim.Addresses = [][]byte{tcp, udp} }),
		"an address that is none": node(func(c *overlay.Contact) { c.Claim.Addresses = [][]byte{tcp, {1, 2, 3}} }),
		"only 0.0.0.0":            node(func(c *overlay.Contact) { c.Claim.Addresses = [][]byte{{4, 0, 0, 0, 0, 6, 1, 1}} }),
		"a key that is no point":  node(func(c *overlay.Contact) { c.Claim.Key[31] = 0xff }),
		"unknown features":        node(func(c *overlay.Contact) { c.Claim.Features = 4 }),
		"empty":                   item(5, nil),
		"no signature":            item(5, slices.Concat(item(1, good.PublicKey[:]), item(2, tcp))),
		"a short signature":       item(5, slices.Concat(item(1, good.PublicKey[:]), item(2, tcp), item(5, item(2, make([]byte, 31))))),
		"version 256":             item(5, slices.Concat(item(1, good.PublicKey[:]), item(2, tcp), item(5, slices.Concat(varint(1, 256), item(2, make([]byte, 32)), item(3, make([]byte, 32)))))),
	} {
		m, err := nativewire.DecodeResponse(slices.Concat(one, b, one))
		if err != nil || len(m.Contacts) != 2 || m.Skipped != 1 {
			t.Errorf("%s: got %d contacts, %d left out and %v, want its neighbours", name, len(m.Contacts), m.Skipped, err)
		}
	}
	self := item(9, nil)
	if m, err := nativewire.DecodeResponse(self); err != nil || m.Self != nil || m.Skipped != 1 {
		t.Errorf("an empty self: got %v and %v, want it left out", m.Self, err)
	}
}

func binaryAddress(t testing.TB, a overlay.Address) []byte {
	t.Helper()
	b, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestClaimsOverOtherAddresses decodes nodes whose addresses are not those that were
// signed, in this order and to the byte: they do not verify.
//
// conforms: kad 54
func TestClaimsOverOtherAddresses(t *testing.T) {
	for name, change := range map[string]func([][]byte) [][]byte{
		"as signed":  func(a [][]byte) [][]byte { return a },
		"another":    func(a [][]byte) [][]byte { return [][]byte{a[0], binaryAddress(t, "/ip4/1.1.1.1/tcp/1")} },
		"one less":   func(a [][]byte) [][]byte { return a[:1] },
		"one more":   func(a [][]byte) [][]byte { return append(a, a[0]) },
		"exchanged":  func(a [][]byte) [][]byte { return [][]byte{a[1], a[0]} },
		"twice":      func(a [][]byte) [][]byte { return [][]byte{a[0], a[0]} },
		"long codes": func(a [][]byte) [][]byte { return [][]byte{a[0], append([]byte{0x84, 0x00}, a[1][1:]...)} },
	} {
		c := contact(t, 1, "/ip4/93.184.216.34/tcp/9000", "/ip4/93.184.216.35/tcp/9000")
		c.Claim.Addresses = change(slices.Clone(c.Claim.Addresses))
		b, err := nativewire.AppendResponse(nil, &overlay.Message{Verb: overlay.Reply, Contacts: []overlay.Contact{c}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := nativewire.DecodeResponse(b)
		if err != nil {
			t.Fatal(err)
		}
		usable := len(m.Contacts) == 1 && m.Contacts[0].Verify(wall) == nil
		if usable != (name == "as signed") {
			t.Errorf("%s: got usable %t", name, usable)
		}
	}
}

// TestManyNodes reads 40 of as many nodes as a frame can hold, and allocates in proportion
// to these.
func TestManyNodes(t *testing.T) {
	node := v1Node(t)
	full := bytes.Repeat(node, nativewire.MaxFrame/len(node))
	m, err := nativewire.DecodeResponse(full)
	if err != nil || len(m.Contacts) != nativewire.MaxContacts {
		t.Fatalf("got %d contacts and %v, want %d", len(m.Contacts), err, nativewire.MaxContacts)
	}
	bad := bytes.Repeat(item(5, nil), 10_000)
	if m, err := nativewire.DecodeResponse(bad); err != nil || len(m.Contacts) != 0 || m.Skipped != nativewire.MaxContacts {
		t.Errorf("got %d contacts, %d left out and %v, want the first %d left out", len(m.Contacts), m.Skipped, err, nativewire.MaxContacts)
	}
	for name, b := range map[string][]byte{"nodes": full, "empty nodes": bad} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			nativewire.DecodeResponse(b)
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / 10; got > 128<<10 {
			t.Errorf("%s: got %d bytes allocated, want at most 128 KiB", name, got)
		}
	}
	long := overlay.Message{Verb: overlay.Reply}
	for range 100 {
		long.Contacts = append(long.Contacts, contact(t, 1))
	}
	b, err := nativewire.AppendResponse(nil, &long)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := nativewire.DecodeResponse(b); err != nil || len(m.Contacts) != nativewire.MaxContacts || len(b) != nativewire.MaxContacts*len(node) {
		t.Errorf("got %d contacts in %d bytes, want %d written", len(m.Contacts), len(b), nativewire.MaxContacts)
	}
}

// v1Node returns a field with a node of one address.
func v1Node(t testing.TB) []byte {
	t.Helper()
	b, err := nativewire.AppendResponse(nil, &overlay.Message{Verb: overlay.Reply, Contacts: []overlay.Contact{contact(t, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDetail is cut, and is text whatever was sent.
func TestDetail(t *testing.T) {
	b, err := nativewire.AppendResponse(nil, &overlay.Message{Verb: overlay.Reply, Detail: strings.Repeat("ä", 200)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := nativewire.DecodeResponse(b)
	if err != nil || m.Detail != strings.Repeat("ä", 100) {
		t.Errorf("got %q and %v, want 100 letters", m.Detail, err)
	}
	m, err = nativewire.DecodeResponse(item(4, bytes.Repeat([]byte("a\xff"), 5000)))
	if err != nil || !utf8.ValidString(m.Detail) || len(m.Detail) > nativewire.MaxDetail {
		t.Errorf("got %q and %v, want at most %d bytes of text", m.Detail, err, nativewire.MaxDetail)
	}
}

// TestNumbersThatDoNotFit become the largest, which is unknown, and never a known one.
func TestNumbersThatDoNotFit(t *testing.T) {
	r, err := nativewire.DecodeRecord(slices.Concat(varint(1, 257), item(2, make([]byte, 32)), varint(4, 257), varint(9, 256)))
	if err != nil || r.Kind != 255 || r.Alg != 255 || r.Flags != 255 {
		t.Errorf("got kind %d, algorithm %d, flags %d and %v, want 255", r.Kind, r.Alg, r.Flags, err)
	}
	m, err := nativewire.DecodeRequest(item(11, slices.Concat(item(1, make([]byte, 32)), varint(2, 1<<31))))
	if err != nil || m.Want != nativewire.MaxContacts {
		t.Errorf("got %d wanted contacts and %v, want %d", m.Want, err, nativewire.MaxContacts)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	for _, m := range []overlay.Message{{}, {Verb: overlay.Pong}, {Verb: overlay.Reply}, {Verb: overlay.Store}, {Verb: 99}} {
		if b, err := nativewire.AppendRequest([]byte("x"), &m); !errors.Is(err, nativewire.ErrVerb) || string(b) != "x" {
			t.Errorf("%v as a request: got %q and %v, want ErrVerb", m.Verb, b, err)
		}
	}
	for _, m := range []overlay.Message{{}, {Verb: overlay.Ping}, {Verb: overlay.Nodes}} {
		if b, err := nativewire.AppendResponse([]byte("x"), &m); !errors.Is(err, nativewire.ErrVerb) || string(b) != "x" {
			t.Errorf("%v as a response: got %q and %v, want ErrVerb", m.Verb, b, err)
		}
	}
	long := overlay.Message{Verb: overlay.Reply, Record: &overlay.Record{Value: make([]byte, nativewire.MaxFrame)}}
	if b, err := nativewire.AppendResponse([]byte("x"), &long); !errors.Is(err, nativewire.ErrTooLong) || string(b) != "x" {
		t.Errorf("a long response: got %d bytes and %v, want ErrTooLong", len(b), err)
	}
}

func fuzzSeeds(f *testing.F) {
	for _, m := range requests() {
		b, err := nativewire.AppendRequest(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, m := range responses(f) {
		b, err := nativewire.AppendResponse(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzRequest encodes each request that decodes: that decodes to the same.
func FuzzRequest(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := nativewire.DecodeRequest(b)
		if err != nil {
			if _, ok := errors.AsType[*overlay.DecodeError](err); !ok {
				t.Fatalf("got %v, want a DecodeError", err)
			}
			return
		}
		again, err := nativewire.AppendRequest(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		second, err := nativewire.DecodeRequest(again)
		if err != nil || fmt.Sprintf("%+v", strip(second)) != fmt.Sprintf("%+v", strip(m)) || !sameRecord(second.Record, m.Record) {
			t.Fatalf("got %+v and %v, want %+v", second, err, m)
		}
	})
}

func strip(m overlay.Message) overlay.Message {
	m.Record, m.Contacts, m.Self, m.Skipped = nil, nil, nil, 0
	return m
}

func sameRecord(a, b *overlay.Record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(nativewire.AppendRecord(nil, a), nativewire.AppendRecord(nil, b))
}

// FuzzResponse encodes each response that decodes: that decodes to the same.
func FuzzResponse(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := nativewire.DecodeResponse(b)
		if err != nil {
			if _, ok := errors.AsType[*overlay.DecodeError](err); !ok {
				t.Fatalf("got %v, want a DecodeError", err)
			}
			return
		}
		if len(m.Contacts)+m.Skipped > nativewire.MaxContacts+bytes.Count(b, protowire.AppendTag(nil, 9, protowire.BytesType)) {
			t.Fatalf("got %d contacts", len(m.Contacts))
		}
		again, err := nativewire.AppendResponse(nil, &m)
		if err != nil {
			if errors.Is(err, nativewire.ErrTooLong) {
				return // fields that were there twice, or numbers that were longer
			}
			t.Fatal(err)
		}
		second, err := nativewire.DecodeResponse(again)
		if err != nil || fmt.Sprintf("%+v", strip(second)) != fmt.Sprintf("%+v", strip(m)) || !sameRecord(second.Record, m.Record) || len(second.Contacts) != len(m.Contacts) {
			t.Fatalf("got %+v and %v, want %+v", second, err, m)
		}
	})
}
