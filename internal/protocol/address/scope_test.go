package address_test

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// TestForeign: what a claim says of another machine's inside leads nowhere from here.
func TestForeign(t *testing.T) {
	for _, c := range []struct {
		a, over string
		want    bool
	}{
		{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2", false},
		{"/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2", false},
		{"/ip4/127.0.0.1/tcp/1", "/dns4/localhost/tcp/2", false},
		{"/ip4/127.0.0.1/tcp/1", "/memory/2", false},
		{"/ip4/127.9.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2", true},
		{"/ip6/::1/tcp/1", "/ip4/8.8.8.8/tcp/2", true},
		{"/ip6/::ffff:127.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/2", true},
		{"/dns4/localhost/tcp/1", "/ip4/8.8.8.8/tcp/2", true},
		{"/dns4/a.localhost/tcp/1", "/unix/onion", true},
		{"/ip4/127.0.0.1/tcp/1", "", true},
		{"/memory/1", "/ip4/8.8.8.8/tcp/2", false},
		{"/ip4/169.254.1.1/tcp/1", "/ip4/169.254.1.2/tcp/2", false},
		{"/ip6/fe80::1/tcp/1", "/ip4/127.0.0.1/tcp/2", false},
		{"/ip4/169.254.1.1/tcp/1", "/ip4/10.0.0.2/tcp/2", true},
		{"/ip4/10.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/2", false},
		{"/ip4/8.8.4.4/tcp/1", "", false},
		{"/dns4/example.org/tcp/1", "", false},
	} {
		var over ma.Multiaddr
		if c.over != "" {
			over = ma.StringCast(c.over)
		}
		if got := address.Foreign(ma.StringCast(c.a), over); got != c.want {
			t.Errorf("%s from %q: got %v, want %v", c.a, c.over, got, c.want)
		}
	}
}

// TestClaimable: the farthest first, and loopback only alone.
func TestClaimable(t *testing.T) {
	const lo, own, pub, six, linked = "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1", "/ip4/8.8.8.8/tcp/1", "/ip6/2a00::1/tcp/1", "/ip4/169.254.0.9/tcp/1"
	for _, c := range []struct {
		own, want []string
		most      int
	}{
		{[]string{lo, own, pub, own, six, linked}, []string{pub, six, own}, 5},
		{[]string{lo, own, pub, six}, []string{pub, six}, 2},
		{[]string{lo, linked}, []string{linked}, 5},
		{[]string{lo, lo}, []string{lo}, 5},
		{nil, nil, 5},
	} {
		got := address.Claimable(casts(c.own), c.most)
		if want := casts(c.want); len(got) != len(want) {
			t.Errorf("of %v: got %v, want %v", c.own, got, want)
		} else {
			for i := range got {
				if !got[i].Equal(want[i]) {
					t.Errorf("of %v: got %v, want %v", c.own, got, want)
				}
			}
		}
	}
}

func casts(texts []string) (list []ma.Multiaddr) {
	for _, s := range texts {
		list = append(list, ma.StringCast(s))
	}
	return list
}
