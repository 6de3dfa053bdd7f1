package overlay_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

const onion = "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:80"

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"/ip4/127.0.0.1/udp/12345":         "/ip4/127.0.0.1/udp/12345",
		"/ip4/127.0.0.1/udp/12345/":        "/ip4/127.0.0.1/udp/12345",
		"/ip4/10.0.0.7/tcp/9000":           "/ip4/10.0.0.7/tcp/9000",
		"/ip6/0:0:0:0:0:0:0:1/udp/9":       "/ip6/::1/udp/9",
		"/ip6/2001:DB8::1/udp/007":         "/ip6/2001:db8::1/udp/7",
		"/ip4/1.2.3.4/udp/+5":              "/ip4/1.2.3.4/udp/5",
		"/ip4/1.2.3.4/udp/65535":           "/ip4/1.2.3.4/udp/65535",
		"/dns4/node.example.com/tcp/18189": "/dns4/node.example.com/tcp/18189",
		"/memory/7":                        "/memory/7",
		onion:                              onion,
		"/ip4/1.2.3.4/udp/65536":           "",
		"/ip4/1.2.3.4/udp/0":               "",
		"/ip4/1.2.3.4/udp/++5":             "",
		"/ip4/1.2.3.4/udp/-5":              "",
		"/ip4/1.2.3.4/udp/":                "",
		"/ip4/1.2.3.4/udp":                 "",
		"/ip4/1.2.3.4":                     "",
		"/ip4/1.2.3.4/udp/5/http":          "",
		"/ip4/1.2.3.4/udp/5//":             "",
		"/ip4/1.2.3.256/udp/5":             "",
		"/ip4/::1/udp/5":                   "",
		"/ip6/1.2.3.4/udp/5":               "",
		"/ip6/::ffff:1.2.3.4/udp/5":        "",
		"/ip6/fe80::1%eth0/udp/5":          "",
		"/ip4/0.0.0.0/udp/5":               "",
		"/ip6/::/udp/5":                    "",
		"/ip4/224.0.0.1/udp/5":             "",
		"/ip6/ff02::1/udp/5":               "",
		"/ip4/255.255.255.255/udp/5":       "",
		"/onion/aaaaaaaaaaaaaaaa:80":       "",
		"/ip4/1.2.3.4/sctp/5":              "",
		"/dns4/node.example.com/udp/5":     "",
		"/memory/0":                        "",
		"":                                 "",
		"/":                                "",
		"1.2.3.4:5":                        "",
		"/dns4/" + strings.Repeat("a", 150) + "/tcp/5": "",
	} {
		got, err := overlay.ParseAddress(in)
		switch {
		case want == "" && !errors.Is(err, overlay.ErrAddress):
			t.Errorf("%q: got %q and %v, want ErrAddress", in, got, err)
		case want == "":
		case err != nil || got != overlay.Address(want):
			t.Errorf("%q: got %q and %v, want %q", in, got, err, want)
		}
		if want == "" {
			continue
		}
		b, err := got.Bytes()
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if again, err := overlay.AddressFromBytes(b); err != nil || again != got {
			t.Errorf("%q from bytes: got %q and %v, want the same", in, again, err)
		}
	}
}

func TestAddressFromBytes(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "cut": {4, 1, 2, 3}, "no port": {4, 1, 2, 3, 4},
		"port 0": {4, 1, 2, 3, 4, 6, 0, 0}, "long": make([]byte, 129),
	} {
		if got, err := overlay.AddressFromBytes(b); !errors.Is(err, overlay.ErrAddress) {
			t.Errorf("%s: got %q and %v, want ErrAddress", name, got, err)
		}
	}
}

// TestAddressParts looks at what addresses say of themselves.
func TestAddressParts(t *testing.T) {
	for _, c := range []struct {
		a         overlay.Address
		protocols string
		at        string
		public    bool
		group     string
	}{
		{"/ip4/93.184.216.34/udp/9", "ip4/udp", "93.184.216.34:9", true, "93.184.216.0/24"},
		{"/ip6/2606:2800:220:1::34/tcp/9", "ip6/tcp", "[2606:2800:220:1::34]:9", true, "2606:2800:220::/48"},
		{"/ip4/10.1.2.3/udp/9", "ip4/udp", "10.1.2.3:9", false, ""},
		{"/ip4/127.0.0.1/udp/9", "ip4/udp", "127.0.0.1:9", false, ""},
		{"/ip6/::1/udp/9", "ip6/udp", "[::1]:9", false, ""},
		{"/memory/7", "memory", "", false, ""},
		{onion, "onion3", "", true, "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd"},
		{"/dns4/a.b.example.com/tcp/9", "dns4/tcp", "", true, "example.com"},
		{"/dns4/printer.local/tcp/9", "dns4/tcp", "", false, ""},
		{"", "", "", false, ""},
	} {
		if got := c.a.Protocols(); got != c.protocols {
			t.Errorf("%q: got protocols %q, want %q", c.a, got, c.protocols)
		}
		at, _, ok := c.a.AddrPort()
		if ok != (c.at != "") || ok && at.String() != c.at {
			t.Errorf("%q: got %s, want %q", c.a, at, c.at)
		}
		if got := c.a.Public(); got != c.public {
			t.Errorf("%q: got public %t, want %t", c.a, got, c.public)
		}
		if got := c.a.Group(); got != c.group {
			t.Errorf("%q: got group %q, want %q", c.a, got, c.group)
		}
	}
}

func TestUDPAddress(t *testing.T) {
	for in, want := range map[string]overlay.Address{
		"127.0.0.1:12345":     "/ip4/127.0.0.1/udp/12345",
		"[::1]:9":             "/ip6/::1/udp/9",
		"[::ffff:10.0.0.1]:9": "/ip4/10.0.0.1/udp/9",
		"[fe80::1%eth0]:9":    "/ip6/fe80::1/udp/9",
		"0.0.0.0:9":           "",
		"127.0.0.1:0":         "",
		"224.0.0.1:9":         "",
	} {
		if got := overlay.UDPAddress(netip.MustParseAddrPort(in)); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	if got := overlay.UDPAddress(netip.AddrPort{}); got != "" {
		t.Errorf("no address: got %q, want none", got)
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"/ip4/127.0.0.1/udp/12345", "/ip6/::1/udp/9/", onion, "/onion/x:1", "/memory/7", "/", "/ip4/1.2.3.4/udp/+5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := overlay.ParseAddress(s)
		if err != nil {
			if a != "" || !errors.Is(err, overlay.ErrAddress) {
				t.Fatalf("%q: got %q and %v, want no address and ErrAddress", s, a, err)
			}
			return
		}
		if again, err := overlay.ParseAddress(string(a)); err != nil || again != a {
			t.Fatalf("%q: got %q, and from that %q and %v", s, a, again, err)
		}
		if a.Protocols() == "" || len(a) > overlay.MaxAddressLen {
			t.Fatalf("%q: got %q", s, a)
		}
		a.Group()
		b, err := a.Bytes()
		if err != nil {
			t.Fatalf("%q: %v", a, err)
		}
		if again, err := overlay.AddressFromBytes(b); err == nil && again != a {
			t.Fatalf("%q: got %q from its bytes", a, again)
		}
	})
}
