package address

import (
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// Group names the network that an address belongs to: the /16 of an IPv4
// address, the /32 of an IPv6 address, the last two labels of a DNS name; an
// onion service is a network of its own. What is not [External] belongs to
// none: Group is empty. Candidates to dial are spread over groups, so that
// whoever holds one network cannot be all that a node knows.
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
	p, _ := ip.Prefix(bits) // bits fit the address
	return p.String()
}
