package tor

import "testing"

func TestSocksAddress(t *testing.T) {
	for _, c := range []struct {
		listeners []string
		want      string
	}{
		{nil, ""},
		{[]string{"127.0.0.1:9050", "127.0.0.1:9150"}, "/ip4/127.0.0.1/tcp/9050"},
		{[]string{"unix:/run/tor/socks", "[::1]:9050"}, "/ip6/::1/tcp/9050"},
		{[]string{"unix:/run/tor/socks"}, "/unix/run/tor/socks"},
		{[]string{"0.0.0.0:9050"}, "/ip4/127.0.0.1/tcp/9050"},
		{[]string{"[::]:9050"}, "/ip6/::1/tcp/9050"},
		{[]string{"localhost:9050", "", "127.0.0.1:0", "127.0.0.1:99999", "unix:relative", "192.0.2.7:9051"}, "/ip4/192.0.2.7/tcp/9051"},
		{[]string{"unix:"}, ""},
	} {
		got, ok := SocksAddress(c.listeners)
		if text := got.String(); ok != (c.want != "") || ok && text != c.want {
			t.Errorf("%v: got %v, %v, want %q", c.listeners, got, ok, c.want)
		}
	}
}
