package address

import (
	"net/netip"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
)

// Short returns an address as people write it: 203.0.113.7:18189 for one of an IP address and a TCP
// port, and any other one as it is.
func Short(a ma.Multiaddr) string {
	if len(a) != 2 || a[1].Protocol().Code != ma.P_TCP {
		return a.String()
	}
	ip, err := netip.ParseAddr(a[0].Value())
	port, bad := strconv.ParseUint(a[1].Value(), 10, 16)
	if err != nil || bad != nil {
		return a.String()
	}
	return netip.AddrPortFrom(ip, uint16(port)).String()
}
