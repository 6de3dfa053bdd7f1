package address

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestShort(t *testing.T) {
	for text, want := range map[string]string{
		"/ip4/203.0.113.7/tcp/18189": "203.0.113.7:18189", "/ip6/2001:db8::1/tcp/1": "[2001:db8::1]:1",
		"/dns4/example.org/tcp/18189": "/dns4/example.org/tcp/18189", "/ip4/203.0.113.7/udp/1": "/ip4/203.0.113.7/udp/1", "/ip4/203.0.113.7": "/ip4/203.0.113.7",
	} {
		if got := Short(ma.StringCast(text)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
