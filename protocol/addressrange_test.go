package protocol_test

import (
	"errors"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestAddressRanges reads every form of excluded addresses.
//
// conforms: comms 16
func TestAddressRanges(t *testing.T) {
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
		r, err := protocol.ParseAddressRange(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if r.String() != c.text {
			t.Errorf("got %q, want %q", r, c.text)
		}
		for _, a := range c.in {
			if !r.Contains(ma.StringCast(a)) {
				t.Errorf("%s: got %s outside, want it inside", c.text, a)
			}
		}
		for _, a := range c.out {
			if r.Contains(ma.StringCast(a)) {
				t.Errorf("%s: got %s inside, want it outside", c.text, a)
			}
		}
	}
	for _, text := range []string{
		"", "/", "/ip4/1.2.3/tcp/4", "/ip4/*.2.3.4/tcp/5", "/ip4/1:2.2.3.4/tcp/5", "/ip4/1.2.3.256/tcp/4", "/ip4/1.2.9:3.4/tcp/5",
		"/ip4/1.2.3.*/tcp/65536", "/ip4/1.2.3.*/tcp/", "/ip4/1.2.3.*/udp/1", "/ip4/1.2.3.*/tcp/1/ws", "/ip4/1.2.3.4:/tcp/1", "/ip6/*/tcp/1", "10.0.0.0/33", "host",
	} {
		if r, err := protocol.ParseAddressRange(text); !errors.Is(err, protocol.ErrBadAddressRange) {
			t.Errorf("%q: got %v, %v, want %v", text, r, err, protocol.ErrBadAddressRange)
		}
	}
}

func FuzzParseAddressRange(f *testing.F) {
	for _, s := range []string{"/ip4/10.*.3:5.9/tcp/*", "10.0.0.0/8", "/memory/1", "2001:db8::/32"} {
		f.Add(s, "/ip4/10.0.3.9/tcp/1")
	}
	f.Fuzz(func(t *testing.T, text, addr string) {
		r, err := protocol.ParseAddressRange(text)
		if err != nil {
			if !errors.Is(err, protocol.ErrBadAddressRange) {
				t.Errorf("got %v, want %v", err, protocol.ErrBadAddressRange)
			}
			return
		}
		again, err := protocol.ParseAddressRange(r.String())
		if err != nil || again != r {
			t.Errorf("got %v, %v from its own text, want %v", again, err, r)
		}
		if a, err := ma.NewMultiaddr(addr); err == nil && len(a) > 0 {
			r.Contains(a)
		}
	})
}
