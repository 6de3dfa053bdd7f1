package seedwire_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// vectors reads testdata/vectors.txt: datagrams by name.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string][]byte{}
	for part := range strings.SplitSeq(string(text), "\n\n") {
		if strings.HasPrefix(part, "#") {
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		name, size, _ := strings.Cut(head, " ")
		b, err := hex.DecodeString(strings.Join(strings.Fields(body), ""))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n, err := strconv.Atoi(size); err != nil || n != len(b) {
			t.Fatalf("%s: got %d bytes, want %s", name, len(b), size)
		}
		list[name] = b
	}
	if len(list) != 8 {
		t.Fatalf("got %d known datagrams, want 8", len(list))
	}
	return list
}

func codec(t testing.TB, n, maxValue int) seedwire.Codec {
	t.Helper()
	c, err := seedwire.NewCodec(n, maxValue)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sequence returns an id of 20 bytes: from, from+1, ….
func sequence(from byte) (id overlay.ID) {
	for i := range 20 {
		id[i] = from + byte(i)
	}
	return id
}

// known returns the messages of the known datagrams.
func known() map[string]overlay.Message {
	head := overlay.Message{ID: overlay.RequestID(sequence(0)), Sender: sequence(0x20)}
	with := func(change func(*overlay.Message)) overlay.Message {
		m := head
		change(&m)
		return m
	}
	target := sequence(0x40)
	record := &overlay.Record{Kind: overlay.Opaque, Key: target, Value: []byte("value")}
	return map[string]overlay.Message{
		"ping":       with(func(m *overlay.Message) { m.Verb = overlay.Ping }),
		"pong":       with(func(m *overlay.Message) { m.Verb = overlay.Pong }),
		"store":      with(func(m *overlay.Message) { m.Verb, m.Target, m.Record = overlay.Store, target, record }),
		"find-node":  with(func(m *overlay.Message) { m.Verb, m.Target = overlay.FindNode, target }),
		"find-value": with(func(m *overlay.Message) { m.Verb, m.Target = overlay.FindValue, target }),
		"value":      with(func(m *overlay.Message) { m.Verb, m.Target, m.Record = overlay.Value, target, record }),
		"nodes-none": with(func(m *overlay.Message) { m.Verb = overlay.Nodes }),
		"nodes-two": with(func(m *overlay.Message) {
			m.Verb, m.Contacts = overlay.Nodes, []overlay.Contact{
				overlay.SeedContact(sequence(0x60), "/ip4/127.0.0.1/udp/12345"),
				overlay.SeedContact(sequence(0x80), "/ip6/::1/udp/9"),
			}
		}),
	}
}

// TestKnownDatagrams encodes the messages of the known datagrams, and decodes these.
//
// conforms: kad 1
func TestKnownDatagrams(t *testing.T) {
	c, messages := codec(t, 20, 0), known()
	for name, want := range vectors(t) {
		m := messages[name]
		got, err := c.Append([]byte("before"), &m)
		if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Errorf("%s: got %x and %v, want %x", name, got, err, want)
		}
		if got := c.Size(&m); got != len(want) {
			t.Errorf("%s: got size %d, want %d", name, got, len(want))
		}
		decoded, err := c.Decode(want)
		if err != nil || !reflect.DeepEqual(decoded, m) {
			t.Errorf("%s: got %+v and %v, want %+v", name, decoded, err, m)
		}
	}
}

// TestSizes encodes messages of other lengths, of which the table of kad A6 gives the sizes.
//
// conforms: kad 1
func TestSizes(t *testing.T) {
	c := codec(t, 20, seedwire.LongestValue)
	for _, n := range []int{0, 1, 5, 1304, seedwire.LongestValue} {
		for _, v := range []overlay.Verb{overlay.Store, overlay.Value} {
			b, err := c.Append(nil, &overlay.Message{Verb: v, Record: &overlay.Record{Value: make([]byte, n)}})
			if err != nil || len(b) != 96+n {
				t.Errorf("%v of %d bytes: got %d bytes and %v, want %d", v, n, len(b), err, 96+n)
			}
		}
	}
	twenty := overlay.Message{Verb: overlay.Nodes}
	for range 20 {
		twenty.Contacts = append(twenty.Contacts, overlay.SeedContact(sequence(1), "/ip4/255.255.255.254/udp/65535"))
	}
	if b, err := c.Append(nil, &twenty); err != nil || len(b) != 68+20*(36+30) {
		t.Errorf("20 contacts: got %d bytes and %v, want %d", len(b), err, 68+20*(36+30))
	}
}
