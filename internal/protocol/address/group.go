package address

import (
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// Group returns a name for the network that an address belongs to: the /16 of an
// IPv4 address, the /32 of an IPv6 address, the last two labels of a DNS name. Each
// onion service is its own network. Group returns "" for an address that is not
// [External]. A node spreads the peers that it dials over groups, so that the owner
// of one network cannot be all of its peers.
//
// spec: V 30
func Group(a ma.Multiaddr) string {
	if !External(a) {
		return ""
	}
	first := a[0]
	switch first.Code() {
	case ma.P_IP4, ma.P_IP6:
		ip, _ := netip.AddrFromSlice(first.RawValue())
		if ip = ip.Unmap(); ip.Is4() {
			return prefixOf(ip, 16)
		}
		return prefixOf(ip, 32)
	case ma.P_ONION3:
		host, _, _ := strings.Cut(first.Value(), ":") // the port follows
		return host
	}
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(first.Value(), ".")), ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

func prefixOf(ip netip.Addr, bits int) string {
	p, _ := ip.Prefix(bits) // no error: the address has more bits
	return p.String()
}
