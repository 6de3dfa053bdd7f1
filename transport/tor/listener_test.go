package tor

import (
	"net/netip"
	"testing"
)

// conforms: V 35
func TestSocksAddress(t *testing.T) {
	const elsewhere = "192.0.2.1"
	for _, c := range []struct {
		host      string // of the control port
		listeners []string
		want      string
	}{
		{"", nil, ""},
		{"", []string{"127.0.0.1:9050", "127.0.0.1:9150"}, "/ip4/127.0.0.1/tcp/9050"},
		{"", []string{"unix:/run/tor/socks", "[::1]:9050"}, "/ip6/::1/tcp/9050"},
		{"", []string{"unix:/run/tor/socks"}, "/unix/run/tor/socks"},
		{"", []string{"0.0.0.0:9050"}, "/ip4/127.0.0.1/tcp/9050"},
		{"", []string{"[::]:9050"}, "/ip6/::1/tcp/9050"},
		{"", []string{"localhost:9050", "", "127.0.0.1:0", "127.0.0.1:99999", "unix:relative", "192.0.2.7:9051"}, ""},
		{"", []string{"192.0.2.7:9050", "[2001:db8::1]:9050", "127.0.0.2:9050"}, "/ip4/127.0.0.2/tcp/9050"},
		{"", []string{"192.0.2.7:9050", "unix:/run/tor/socks"}, "/unix/run/tor/socks"},
		{"", []string{"unix:"}, ""},
		{elsewhere, []string{"127.0.0.1:9050", "unix:/run/tor/socks", "192.0.2.7:9050"}, "/ip4/192.0.2.7/tcp/9050"},
		{elsewhere, []string{"0.0.0.0:9050"}, "/ip4/192.0.2.1/tcp/9050"},
		{elsewhere, []string{"127.0.0.1:9050", "[::1]:9050", "unix:/run/tor/socks"}, ""},
	} {
		host, _ := netip.ParseAddr(c.host)
		got, ok := SocksAddress(c.listeners, host)
		if text := got.String(); ok != (c.want != "") || ok && text != c.want {
			t.Errorf("%v, control port at %q: got %v, %v, want %q", c.listeners, c.host, got, ok, c.want)
		}
	}
}
