package address_test

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// TestPublic asks for the first and the last address of every range of the
// special-purpose registries, and for the neighbours of each.
func TestPublic(t *testing.T) {
	for _, c := range []struct{ first, last, name string }{
		{"0.0.0.0", "0.255.255.255", "this network"},
		{"10.0.0.0", "10.255.255.255", "private"},
		{"100.64.0.0", "100.127.255.255", "carrier-grade NAT"},
		{"127.0.0.0", "127.255.255.255", "loopback"},
		{"169.254.0.0", "169.254.255.255", "link-local"},
		{"172.16.0.0", "172.31.255.255", "private"},
		{"192.0.0.0", "192.0.0.255", "IETF protocol assignments"},
		{"192.0.2.0", "192.0.2.255", "documentation"},
		{"192.31.196.0", "192.31.196.255", "AS112"},
		{"192.52.193.0", "192.52.193.255", "multicast tunnels"},
		{"192.88.99.0", "192.88.99.255", "6to4 relays"},
		{"192.168.0.0", "192.168.255.255", "private"},
		{"192.175.48.0", "192.175.48.255", "AS112"},
		{"198.18.0.0", "198.19.255.255", "benchmarking"},
		{"198.51.100.0", "198.51.100.255", "documentation"},
		{"203.0.113.0", "203.0.113.255", "documentation"},
		{"224.0.0.0", "239.255.255.255", "multicast"},
		{"240.0.0.0", "255.255.255.254", "reserved"},
		{"255.255.255.255", "255.255.255.255", "broadcast"},

		{"::", "::", "unspecified"},
		{"::1", "::1", "loopback"},
		{"::2", "::ffff:ffff", "IPv4-compatible"},
		{"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local NAT64"},
		{"100::", "100::ffff:ffff:ffff:ffff", "discard"},
		{"100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "dummy prefix"},
		{"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo"},
		{"2001:1::1", "2001:1::3", "IETF protocol assignments"},
		{"2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking"},
		{"2001:3::", "2001:4:112::1", "IETF protocol assignments"},
		{"2001:10::", "2001:1f:ffff::", "ORCHID"},
		{"2001:20::", "2001:2f:ffff::", "ORCHID"},
		{"2001:30::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "IETF protocol assignments"},
		{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"},
		{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"},
		{"2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "AS112"},
		{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"},
		{"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "segment routing"},
		{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local"},
		{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"},
		{"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"},
		{"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},

		{"::1:0:0", "::fffe:ffff:ffff", "reserved"},
		{"64:ff9a:ffff::", "64:ff9a:ffff::", "reserved"},
		{"101::", "1fff:ffff::", "reserved"},
		{"4000::", "5eff:ffff::", "reserved"},
		{"8000::", "fbff:ffff::", "reserved"},

		// IPv4 addresses in IPv6 form, and zones.
		{"::ffff:0.0.0.0", "::ffff:0.255.255.255", "this network"},
		{"::ffff:127.0.0.1", "::ffff:127.255.255.255", "loopback"},
		{"::ffff:192.168.0.1", "::ffff:192.168.0.1", "private"},
		{"64:ff9b::", "64:ff9b::0.255.255.255", "this network"},
		{"64:ff9b::127.0.0.1", "64:ff9b::127.255.255.255", "loopback"},
		{"64:ff9b::10.0.0.1", "64:ff9b::192.168.0.1", "private"},
		{"64:ff9b::169.254.169.254", "64:ff9b::169.254.169.254", "link-local"},
		{"64:ff9b::224.0.0.1", "64:ff9b::239.255.255.255", "multicast"},
		{"64:ff9b::ffff:ffff", "64:ff9b::ffff:ffff", "broadcast"},
		{"64:ff9b::1:0:0", "64:ff9b:0:ffff::8.8.8.8", "reserved"},
		{"64:ff9b:1::8.8.8.8", "64:ff9b:1::8.8.8.8", "local NAT64"},
		{"::127.0.0.1", "::8.8.8.8", "IPv4-compatible"},
		{"2002:7f00:1::", "2002:808:808::", "6to4"},
		{"fe80::1%eth0", "fe80::1%lo", "link-local"},
		{"::1%lo", "::1%lo", "loopback"},
		{"::ffff:127.0.0.1%lo", "::ffff:127.0.0.1%lo", "loopback"},
	} {
		for _, s := range []string{c.first, c.last} {
			err := address.Public(netip.MustParseAddr(s))
			special, ok := errors.AsType[*address.SpecialError](err)
			if !ok || special.Range.Name != c.name {
				t.Errorf("%s: got %v, want it refused as %s", s, err, c.name)
				continue
			}
			if !strings.Contains(err.Error(), c.name) || !strings.Contains(err.Error(), special.Range.Prefix.String()) {
				t.Errorf("%s: got %q, want the range and what it is for", s, err)
			}
		}
	}
	if err := address.Public(netip.Addr{}); err == nil {
		t.Error("no address: got it as public")
	}
	for _, s := range []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.1.255", "192.0.3.0",
		"192.31.195.255", "192.31.197.0", "192.52.192.255", "192.52.194.0", "192.88.98.255", "192.88.100.0",
		"192.167.255.255", "192.169.0.0", "192.175.47.255", "192.175.49.0", "198.17.255.255", "198.20.0.0",
		"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"2000::", "2000:ffff::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:4700:4700::1111",
		"2620:4f:7fff::", "2620:4f:8001::", "3ffe:ffff::", "3fff:1000::",
		"::ffff:8.8.8.8",
	} {
		if err := address.Public(netip.MustParseAddr(s)); err != nil {
			t.Errorf("%s: got %v, want it public", s, err)
		}
	}
}

// TestPublicIsExternal has the ranges to which no claim may lead hold every range
// whose addresses are not kept.
func TestPublicIsExternal(t *testing.T) {
	for b := range 256 {
		for _, rest := range []string{"0.0.1", "0.2.1", "51.100.1", "64.0.1", "88.99.1", "168.0.1", "254.0.1", "255.255.255"} {
			ip := netip.MustParseAddr(strconv.Itoa(b) + "." + rest)
			if external := address.External(parse(t, "/ip4/"+ip.String()+"/tcp/1")); !external && address.Public(ip) == nil {
				t.Errorf("%s is not external: got it as public", ip)
			}
		}
	}
	for _, s := range []string{"::", "::1", "100::1", "2001::1", "2001:db8::1", "2002::1", "fc00::1", "fe80::1", "fec0::1", "ff02::1"} {
		if address.External(parse(t, "/ip6/"+s+"/tcp/1")) || address.Public(netip.MustParseAddr(s)) == nil {
			t.Errorf("%s: got external or public, want neither", s)
		}
	}
}
