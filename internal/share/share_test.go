package share_test

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/share"
)

type holder = share.Holder[string]

func at(ip string) share.Source { return share.Of(netip.MustParseAddr(ip)) }

// TestMost fills and asks who makes way, in the order of the rule.
//
// conforms: V 39
func TestMost(t *testing.T) {
	a, b, c := at("192.0.2.1"), at("198.51.100.1"), at("2001:db8::1")
	for _, test := range []struct {
		name string
		have []holder // one more of each
		want holder
	}{
		{"a source with many keys before a key with more", []holder{
			{a, "1", false}, {a, "2", false}, {a, "3", false}, {b, "x", false}, {b, "x", false},
		}, holder{a, "3", false}},
		{"within the source the key with most", []holder{
			{a, "1", false}, {a, "1", false}, {a, "2", false}, {b, "x", false},
		}, holder{a, "1", false}},
		{"of equal sources the newest", []holder{{a, "1", false}, {c, "2", false}, {b, "3", false}}, holder{b, "3", false}},
		{"a /24 with five sources before one source", []holder{
			{b, "x", false},
			{at("192.0.2.1"), "1", false},
			{at("192.0.2.2"), "2", false},
			{at("192.0.2.3"), "3", false},
			{at("192.0.2.4"), "4", false},
			{at("192.0.2.5"), "5", false},
		}, holder{at("192.0.2.5"), "5", false}},
		{"a /48 likewise", []holder{
			{b, "x", false},
			{at("2001:db8::1"), "1", false},
			{at("2001:db8:0:1::"), "2", false},
			{at("2001:db8:0:2::"), "3", false},
			{at("2001:db8:0:3::"), "4", false},
			{at("2001:db8:0:4::"), "5", false},
		}, holder{at("2001:db8:0:4::"), "5", false}},
		{"exempt ones have sixteen shares", []holder{
			{share.Exempt, "1", false}, {share.Exempt, "2", false}, {share.Exempt, "3", false}, {b, "x", false}, {a, "y", false},
		}, holder{a, "y", false}},
		{"our own are sources each", []holder{{share.None, "1", false}, {share.None, "2", false}, {a, "x", false}, {a, "y", false}}, holder{a, "y", false}},
		{"the last ones are last", []holder{{a, "1", true}, {a, "1", true}, {a, "1", true}, {b, "x", false}}, holder{b, "x", false}},
		{"of the last ones the source with most", []holder{{a, "1", true}, {a, "2", true}, {b, "x", true}}, holder{a, "2", true}},
	} {
		var s share.Shares[string]
		for _, h := range test.have {
			s.Add(h, 1)
		}
		if got, ok := s.Most(); !ok || got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
		for _, h := range test.have {
			if h.Last == test.want.Last && s.Weight(h).Compare(s.Weight(test.want)) > 0 {
				t.Errorf("%s: got a greater weight of %v than of %v, which makes way", test.name, h, test.want)
			}
		}
	}
}

// TestModel adds and removes at random and compares with a model that looks at everybody.
//
// conforms: V 39
func TestModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sources := []share.Source{share.None, share.Exempt}
	for i := range 4 {
		for j := range 3 {
			sources = append(sources, share.Of(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j)})))
			sources = append(sources, share.Of(netip.AddrFrom16([16]byte{0x20, 1, 0, 0, 0, byte(i), 0, byte(j)})))
		}
	}
	var s share.Shares[string]
	has := map[holder]int64{}
	for step := range 2_000 {
		h := holder{sources[r.IntN(len(sources))], string(rune('a' + r.IntN(4))), r.IntN(4) == 0}
		n := r.Int64N(5)
		if r.IntN(3) == 0 {
			n = -has[h]
		}
		s.Add(h, n)
		if has[h] += n; has[h] == 0 {
			delete(has, h)
		}
		got, ok := s.Most()
		if ok != (len(has) > 0) {
			t.Fatalf("got %v of %d holders", ok, len(has))
		}
		if !ok {
			continue
		}
		for o, n := range has {
			if step%16 != 0 || o.Last != got.Last {
				continue
			}
			by := s.Weight(o).Compare(s.Weight(got))
			more, least := pressureOf(has, o), pressureOf(has, got)
			if more < least && by >= 0 || more == least && o.Source == got.Source && o.Source != share.None && by != cmp.Compare(n, has[got]) {
				t.Fatalf("got %v, and by weight %d of %v", got, by, o)
			}
		}
		pressure, key := most(has, got)
		if has[got] == 0 || key > has[got] || pressure > pressureOf(has, got) {
			t.Fatalf("got %v with %d, of a source with %d; there is a source with %d, and in this one a key with %d",
				got, has[got], pressureOf(has, got), pressure, key)
		}
		var source, one int64
		for other, n := range has {
			if other.Source == h.Source && h.Source != share.None {
				source += n
				if other.Key == h.Key {
					one += n
				}
			}
		}
		if s.Source(h.Source) != source || h.Source != share.None && s.Key(h.Source, h.Key) != one {
			t.Fatalf("got %d and %d of %v, want %d and %d", s.Source(h.Source), s.Key(h.Source, h.Key), h, source, one)
		}
	}
	for h, n := range has {
		s.Add(h, -n)
	}
	if _, ok := s.Most(); ok {
		t.Error("got somebody who makes way when all is empty")
	}
}

// most returns the greatest pressure in the rank of h, and the most that a key of its source has.
func most(has map[holder]int64, h holder) (pressure, key int64) {
	rank := h.Last
	for o := range has {
		rank = rank && o.Last
	}
	for o, n := range has {
		if o.Last != rank {
			continue
		}
		pressure = max(pressure, pressureOf(has, o))
		if o.Source == h.Source && (o.Source != share.None || o.Key == h.Key) {
			key = max(key, n)
		}
	}
	return pressure, key
}

// pressureOf returns the pressure of the source of h or its subnet, whichever is greater, in
// sixty-fourths.
func pressureOf(has map[holder]int64, h holder) int64 {
	var source, subnet int64
	for o, n := range has {
		if o.Last != h.Last || h.Source == share.None && o.Key != h.Key {
			continue
		}
		if o.Source == h.Source {
			source += n
		}
		if a, ok := h.Source.Prefix(); ok {
			if b, ok := o.Source.Prefix(); ok && a.Bits() == b.Bits() {
				bits := map[int]int{32: 24, 64: 48}[a.Bits()]
				if wide, _ := a.Addr().Prefix(bits); wide.Contains(b.Addr()) {
					subnet += n
				}
			}
		}
	}
	if h.Source == share.Exempt {
		return source * share.Subnet
	}
	return max(source*share.Subnet*share.ExemptSources, subnet*share.ExemptSources)
}

// TestLend lends what holders have, so that others make way next. When it has come back, all is
// as before, also who of equals is the newest.
func TestLend(t *testing.T) {
	first, second, last := holder{at("192.0.2.1"), "1", false}, holder{at("198.51.100.1"), "2", false}, holder{share.Exempt, "3", true}
	var s share.Shares[string]
	for _, h := range []holder{first, second, last} {
		s.Add(h, 2)
	}
	for _, want := range []holder{second, first, last} {
		got, ok := s.Most()
		if !ok || got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		s.Lend(got, 2)
	}
	if got, ok := s.Most(); ok {
		t.Errorf("got %v when all is lent", got)
	}
	for _, h := range []holder{second, last, first} {
		s.Add(h, 2)
	}
	if got, _ := s.Most(); got != second {
		t.Errorf("when all is back: got %v, want the newest", got)
	}
}

// TestMove has a key with more than others become one of the last.
func TestMove(t *testing.T) {
	a, b := holder{at("192.0.2.1"), "1", false}, holder{at("198.51.100.1"), "2", false}
	last := a
	last.Last = true
	var s share.Shares[string]
	s.Add(a, 5)
	s.Add(b, 1)
	s.Move(a, a, 5)
	if got, _ := s.Most(); got != a {
		t.Errorf("got %v, want %v", got, a)
	}
	s.Move(a, last, 5)
	if got, _ := s.Most(); got != b || s.Source(a.Source) != 5 {
		t.Errorf("got %v, want %v", got, b)
	}
}

func TestGivesBackTooMuch(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var s share.Shares[string]
	s.Add(holder{share.Exempt, "a", false}, 1)
	s.Add(holder{share.Exempt, "a", false}, -2)
}

func TestOf(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::": "2001:db8:1:2::/64", "::1": "exempt",
		"0.0.0.0": "0.0.0.0/32", "255.255.255.255": "255.255.255.255/32", "ffff::": "ffff::/64",
	} {
		if got := at(ip).String(); got != want {
			t.Errorf("%s: got %s, want %s", ip, got, want)
		}
	}
	if got := share.Of(netip.Addr{}); got != share.Exempt {
		t.Errorf("got %v, want exempt", got)
	}
	if got := share.None.String(); got != "none" {
		t.Errorf("got %s", got)
	}
}
