package control

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

// TestWhyMoved: a peer has moved if its connections are with two addresses of one family.
func TestWhyMoved(t *testing.T) {
	for name, c := range map[string]struct{ before, now, want string }{
		"another address":   {"/ip4/11.2.0.10/tcp/18189", "/ip4/11.2.0.11/tcp/40000", "11.2.0.10"},
		"another of IPv6":   {"/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8::2/tcp/1", "2001:db8::1"},
		"another port":      {"/ip4/11.2.0.10/tcp/18189", "/ip4/11.2.0.10/tcp/40000", ""},
		"another family":    {"/ip4/11.2.0.10/tcp/18189", "/ip6/2001:db8::2/tcp/1", ""},
		"another name":      {"/dns4/a.example/tcp/1", "/dns4/b.example/tcp/1", ""},
		"a name, before":    {"/dns4/a.example/tcp/1", "/ip4/11.2.0.10/tcp/1", ""},
		"nowhere":           {"/memory/1", "/memory/2", ""},
		"without addresses": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var before, now ma.Multiaddr
			if c.before != "" {
				before, now = ma.StringCast(c.before), ma.StringCast(c.now)
			}
			got, moved := movedFrom(before, now)
			if moved != (c.want != "") || moved && got != c.want {
				t.Errorf("got %q, %v, want %q", got, moved, c.want)
			}
		})
	}
}
