package seedwire_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestListedAddresses puts each address between two good ones: it is left out or read in
// its usual form, and its neighbours are kept.
//
// conforms: kad 6
func TestListedAddresses(t *testing.T) {
	for text, want := range map[string]overlay.Address{
		"/ip4/1.2.3.4/udp/5":          "/ip4/1.2.3.4/udp/5",
		"/ip4/1.2.3.4/udp/5/":         "/ip4/1.2.3.4/udp/5",
		"/ip4/1.2.3.4/udp/007":        "/ip4/1.2.3.4/udp/7",
		"/ip6/0:0:0:0:0:0:0:1/udp/+5": "/ip6/::1/udp/5",
		"/ip6/0000:0000:0000:0000:0000:0000:0000:0001/udp/00065535": "/ip6/::1/udp/65535",
		"/onion/aaaaaaaaaaaaaaaa:80":                                "",
		"/ip4/1.2.3.4/tcp/5":                                        "",
		"/ip4/1.2.3.4/udp/5/http":                                   "",
		"/ip4/1.2.3.4/udp/5/utp":                                    "",
		"/ip4/1.2.3.4":                                              "",
		"":                                                          "",
		"/":                                                         "",
		"/ip4/0.0.0.0/udp/5":                                        "",
		"/ip6/::/udp/5":                                             "",
		"/ip4/224.0.0.9/udp/5":                                      "",
		"/ip4/1.2.3.4/udp/0":                                        "",
		"/ip4/1.2.3.4/udp/65536":                                    "",
		"/dns4/example.com/udp/5":                                   "",
		"/dns4/example.com/tcp/5":                                   "",
		"/memory/5":                                                 "",
		"/ip4/1.2.3.4/udp/" + fmt.Sprintf("%0129d", 5): "",
	} {
		t.Run(text, func(t *testing.T) {
			b := list(3, "/ip4/9.9.9.9/udp/9")
			entry := len("/ip4/9.9.9.9/udp/9") + 36
			middle := list(1, text)[atEntry:]
			b = slices.Concat(b[:atEntry+entry], middle, b[atEntry+2*entry:])
			m, err := codec(t, 20, 0).Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			wanted := []overlay.Contact{overlay.SeedContact(sequence(0), "/ip4/9.9.9.9/udp/9"), overlay.SeedContact(sequence(2), "/ip4/9.9.9.9/udp/9")}
			if want != "" {
				wanted = slices.Insert(wanted, 1, overlay.SeedContact(sequence(0), want))
			}
			if !reflect.DeepEqual(m.Contacts, wanted) || m.Skipped != 3-len(wanted) {
				t.Errorf("got %v and %d left out, want %v", m.Contacts, m.Skipped, wanted)
			}
		})
	}
}

// TestLongLists are read up to 40 contacts, and checked to the end.
func TestLongLists(t *testing.T) {
	b := list(100, "/ip4/1.2.3.4/udp/5")
	m, err := codec(t, 20, 0).Decode(b)
	if err != nil || len(m.Contacts) != seedwire.MaxContacts {
		t.Fatalf("got %d contacts and %v, want %d", len(m.Contacts), err, seedwire.MaxContacts)
	}
	b[len(b)-28]++ // the length of the last id
	refused(t, "a bad id at the end", append(b, 0), overlay.ErrIDLength)
}

// TestSelect chooses what an answer lists.
//
// conforms: kad 6
func TestSelect(t *testing.T) {
	const (
		public4, private4 = "/ip4/93.184.216.34/udp/9", "/ip4/10.1.2.3/udp/9"
		public6, local6   = "/ip6/2606:2800:220:1::34/udp/9", "/ip6/::1/udp/9"
		tcp               = "/ip4/93.184.216.34/tcp/9"
	)
	self, asker := sequence(0xa0), sequence(0xb0)
	both := overlay.Contact{ID: sequence(6), Addresses: []overlay.Address{tcp, public6, private4, public4}}
	contacts := []overlay.Contact{
		overlay.SeedContact(sequence(1), public4), overlay.SeedContact(sequence(2), private4), overlay.SeedContact(sequence(3), public6),
		overlay.SeedContact(sequence(4), local6), overlay.SeedContact(sequence(5), tcp), both, overlay.SeedContact(self, public4), overlay.SeedContact(asker, public4),
		{ID: sequence(7)},
	}
	for _, c := range []struct {
		at   overlay.Address
		want []overlay.Contact
	}{
		{"/ip4/8.8.8.8/udp/1", []overlay.Contact{overlay.SeedContact(sequence(1), public4), overlay.SeedContact(sequence(6), public4)}},
		{"/ip4/127.0.0.1/udp/1", []overlay.Contact{overlay.SeedContact(sequence(1), public4), overlay.SeedContact(sequence(2), private4), overlay.SeedContact(sequence(6), private4)}},
		{"/ip6/2620:fe::fe/udp/1", []overlay.Contact{overlay.SeedContact(sequence(3), public6), overlay.SeedContact(sequence(6), public6)}},
		{"/ip6/::1/udp/1", []overlay.Contact{overlay.SeedContact(sequence(3), public6), overlay.SeedContact(sequence(4), local6), overlay.SeedContact(sequence(6), public6)}},
		{private4, []overlay.Contact{overlay.SeedContact(sequence(1), public4), overlay.SeedContact(sequence(6), public4)}},
	} {
		got := codec(t, 20, 0).Select(contacts, seedwire.Asker{ID: asker, Address: c.at}, self, 20, seedwire.MaxList)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("for %s: got %v, want %v", c.at, got, c.want)
		}
	}
}

// TestSelectBounds counts contacts and bytes: 20 of IPv4 are at most 1,388 bytes, and 17
// of the longest addresses of IPv6 more than 1,400.
//
// conforms: kad 6
func TestSelectBounds(t *testing.T) {
	c := codec(t, 20, 0)
	var v4, v6 []overlay.Contact
	for i := range 50 {
		v4 = append(v4, overlay.SeedContact(sequence(byte(i)), "/ip4/203.184.216.134/udp/65535"))
		v6 = append(v6, overlay.SeedContact(sequence(byte(i)), "/ip6/2606:2800:2200:1111:2222:3333:4444:5555/udp/65535"))
	}
	to4 := seedwire.Asker{ID: sequence(0xf0), Address: "/ip4/8.8.8.8/udp/1"}
	to6 := seedwire.Asker{ID: sequence(0xf0), Address: "/ip6/2620:fe::fe/udp/1"}
	for _, k := range []struct {
		contacts []overlay.Contact
		to       seedwire.Asker
		max      int
		size     int
		want     int
	}{
		{v4, to4, 20, 65_507, 20},
		{v4, to4, 20, 1400, 20},
		{v4, to4, 3, 1400, 3},
		{v4, to4, 20, 68 + 66, 1},
		{v4, to4, 20, 68 + 65, 0},
		{v4, to4, 20, 0, 0},
		{v4, to4, 50, 65_507, 20}, // (1400 − 68) / 66
		{v6, to6, 20, 65_507, 14}, // (1400 − 68) / 90
	} {
		got := c.Select(k.contacts, k.to, sequence(0xe0), k.max, k.size)
		size := c.Size(&overlay.Message{Verb: overlay.Nodes, Contacts: got})
		if len(got) != k.want || len(got) > 0 && size > min(k.size, seedwire.MaxList) {
			t.Errorf("at most %d in %d bytes: got %d in %d bytes, want %d", k.max, k.size, len(got), size, k.want)
		}
	}
}

// TestValueLimits stores values around the limits.
//
// conforms: kad 11
func TestValueLimits(t *testing.T) {
	for _, k := range []struct{ n, maxValue, limit int }{{20, 0, seedwire.DefaultMaxValue}, {20, seedwire.LongestValue, seedwire.LongestValue}, {20, 10, 10}, {32, 0, 1268}} {
		c := codec(t, k.n, k.maxValue)
		if got := c.MaxValue(); got != k.limit {
			t.Errorf("ids of %d bytes: got a limit of %d, want %d", k.n, got, k.limit)
		}
		store := overlay.Message{Verb: overlay.Store, Record: &overlay.Record{Value: make([]byte, k.limit)}}
		if _, err := c.Append(nil, &store); err != nil {
			t.Errorf("%d bytes: got %v, want them sent", k.limit, err)
		}
		store.Record.Value = make([]byte, k.limit+1)
		b, err := c.Append([]byte("x"), &store)
		var large *overlay.ValueTooLargeError
		if !errors.As(err, &large) || large.Max != k.limit || large.Size != k.limit+1 || large.Gateway == "" || string(b) != "x" {
			t.Errorf("%d bytes: got %q and %v, want an error that names the limit", k.limit+1, b, err)
		}
	}
	// A value that others stored here is answered whatever the own limit is.
	c := codec(t, 20, 0)
	if b, err := c.Append(nil, &overlay.Message{Verb: overlay.Value, Record: &overlay.Record{Value: make([]byte, seedwire.LongestValue)}}); err != nil || len(b) != seedwire.MaxDatagram {
		t.Errorf("the longest answer: got %d bytes and %v, want %d", len(b), err, seedwire.MaxDatagram)
	}
	if _, err := c.Append(nil, &overlay.Message{Verb: overlay.Value, Record: &overlay.Record{Value: make([]byte, seedwire.LongestValue+1)}}); err == nil {
		t.Error("an answer of one byte more: got it encoded, want an error")
	}
}

func TestCodecsThatAreRefused(t *testing.T) {
	for _, n := range []int{-1, 0, 33} {
		if _, err := seedwire.NewCodec(n, 0); !errors.Is(err, overlay.ErrIDLength) {
			t.Errorf("ids of %d bytes: got %v, want ErrIDLength", n, err)
		}
	}
	for _, v := range []int{-1, seedwire.LongestValue + 1} {
		var large *overlay.ValueTooLargeError
		if _, err := seedwire.NewCodec(20, v); !errors.As(err, &large) {
			t.Errorf("values of %d bytes: got %v, want a ValueTooLargeError", v, err)
		}
	}
	c := codec(t, 20, 0)
	for _, m := range []overlay.Message{{}, {Verb: overlay.Reply}, {Verb: overlay.Store}, {Verb: overlay.Value}, {Verb: 99}} {
		if b, err := c.Append(nil, &m); !errors.Is(err, seedwire.ErrVerb) || b != nil {
			t.Errorf("%v: got %x and %v, want ErrVerb", m.Verb, b, err)
		}
	}
}
