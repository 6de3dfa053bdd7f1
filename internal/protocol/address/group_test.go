package address_test

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

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
