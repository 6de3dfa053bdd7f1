package address_test

import (
	"errors"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// TestRanges reads every form of excluded addresses.
//
// conforms: comms 16
func TestRanges(t *testing.T) {
	for _, c := range []struct {
		text    string
		in, out []string
	}{
		{
			"/ip4/203.0.113.7/tcp/18189",
			[]string{"/ip4/203.0.113.7/tcp/18189"},
			[]string{"/ip4/203.0.113.7/tcp/18190", "/ip4/203.0.113.8/tcp/18189", "/ip4/203.0.113.7/tcp/18189/ws"},
		},
		{"/memory/7", []string{"/memory/7"}, []string{"/memory/8"}},
		{
			"/ip4/10.*.3:5.9/tcp/*",
			[]string{"/ip4/10.0.3.9/tcp/1", "/ip4/10.255.5.9/tcp/65535", "/ip4/10.1.4.9/tcp/80/ws"},
			[]string{"/ip4/11.0.3.9/tcp/1", "/ip4/10.0.2.9/tcp/1", "/ip4/10.0.6.9/tcp/1", "/ip4/10.0.3.8/tcp/1", "/dns4/10.0.3.9/tcp/1"},
		},
		{
			"/ip4/10.0.0.1/tcp/100:200",
			[]string{"/ip4/10.0.0.1/tcp/100", "/ip4/10.0.0.1/tcp/200"},
			[]string{"/ip4/10.0.0.1/tcp/99", "/ip4/10.0.0.1/tcp/201", "/ip4/10.0.0.1/udp/150"},
		},
		{
			"203.0.113.0/24",
			[]string{"/ip4/203.0.113.0/tcp/1", "/ip4/203.0.113.255/tcp/9", "/ip6/::ffff:203.0.113.9/tcp/1"},
			[]string{"/ip4/203.0.114.0/tcp/1", "/dns4/a.example/tcp/1", "/memory/1"},
		},
		{"2001:db8::/32", []string{"/ip6/2001:db8:1::1/tcp/1"}, []string{"/ip6/2001:db9::1/tcp/1"}},
	} {
		r, err := address.ParseRange(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if r.String() != c.text {
			t.Errorf("got %q, want %q", r, c.text)
		}
		for _, a := range c.in {
			if !address.Excluded([]address.Range{r}, ma.StringCast(a)) {
				t.Errorf("%s: got %s outside, want it inside", c.text, a)
			}
		}
		for _, a := range c.out {
			if address.Excluded([]address.Range{r}, ma.StringCast(a)) {
				t.Errorf("%s: got %s inside, want it outside", c.text, a)
			}
		}
	}
	for _, text := range []string{
		"", "/", "/ip4/1.2.3/tcp/4", "/ip4/*.2.3.4/tcp/5", "/ip4/1:2.2.3.4/tcp/5", "/ip4/1.2.3.256/tcp/4", "/ip4/1.2.9:3.4/tcp/5",
		"/ip4/1.2.3.*/tcp/65536", "/ip4/1.2.3.*/tcp/", "/ip4/1.2.3.*/udp/1", "/ip4/1.2.3.*/tcp/1/ws", "/ip4/1.2.3.4:/tcp/1", "/ip6/*/tcp/1", "10.0.0.0/33", "host",
	} {
		if r, err := address.ParseRange(text); !errors.Is(err, address.ErrBadRange) {
			t.Errorf("%q: got %v, %v, want %v", text, r, err, address.ErrBadRange)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"/ip4/10.*.3:5.9/tcp/*", "10.0.0.0/8", "/memory/1", "2001:db8::/32"} {
		f.Add(s, "/ip4/10.0.3.9/tcp/1")
	}
	f.Fuzz(func(t *testing.T, text, addr string) {
		r, err := address.ParseRange(text)
		if err != nil {
			if !errors.Is(err, address.ErrBadRange) {
				t.Errorf("got %v, want %v", err, address.ErrBadRange)
			}
			return
		}
		again, err := address.ParseRange(r.String())
		if err != nil || again != r {
			t.Errorf("got %v, %v from its own text, want %v", again, err, r)
		}
		if a, err := ma.NewMultiaddr(addr); err == nil && len(a) > 0 {
			r.Contains(a)
		}
	})
}

// TestGroup names networks.
//
// conforms: V 30
func TestGroup(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"/ip4/8.8.4.4/tcp/1", "8.8.0.0/16"},
		{"/ip4/8.8.200.4/tcp/2", "8.8.0.0/16"},
		{"/ip4/8.9.4.4/tcp/1", "8.9.0.0/16"},
		{"/ip6/::ffff:8.8.4.4/tcp/1", "8.8.0.0/16"},
		{"/ip6/2606:4700:1::1/tcp/1", "2606:4700::/32"},
		{"/dns4/a.b.Example.ORG/tcp/1", "example.org"},
		{"/dns4/example.org/tcp/1", "example.org"},
		{"/ip4/127.0.0.1/tcp/1", ""},
		{"/ip4/192.168.1.1/tcp/1", ""},
		{"/dns4/localhost/tcp/1", ""},
		{"/memory/1", ""},
	} {
		if got := address.Group(ma.StringCast(c.addr)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.addr, got, c.want)
		}
	}
	const a, b = "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234", "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1235"
	if x, y := address.Group(ma.StringCast(a)), address.Group(ma.StringCast(b)); x == "" || x != y {
		t.Errorf("one onion service on two ports: got groups %q and %q, want one", x, y)
	}
}
