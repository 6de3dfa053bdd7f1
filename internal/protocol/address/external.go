package address

import (
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// The addresses that cannot be dialled from outside, of V section 2. Loopback,
// private, link-local, multicast and so on are all listed, so that the list does not
// change with the standard library.
var (
	local4 = prefixes(
		"0.0.0.0/8",       // unspecified, this network
		"10.0.0.0/8",      // private
		"100.64.0.0/10",   // carrier-grade NAT
		"127.0.0.0/8",     // loopback
		"169.254.0.0/16",  // link-local
		"172.16.0.0/12",   // private
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relays
		"192.168.0.0/16",  // private
		"198.18.0.0/15",   // benchmarking
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/4",     // multicast
		"240.0.0.0/4",     // reserved, broadcast
	)
	// The unspecified and the loopback address are IPv4-compatible forms of 0.0.0.0/8.
	local6 = prefixes(
		"100::/64",      // discard
		"2001::/32",     // Teredo
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"fc00::/7",      // unique local
		"fe80::/10",     // link-local
		"fec0::/10",     // site-local
		"ff00::/8",      // multicast
	)
	compatible4 = netip.MustParsePrefix("::/96")
	private4    = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)

// localNames are the DNS names that are valid on one network only, like every name
// below them.
var localNames = []string{"localhost", "local", "localdomain", "internal", "lan", "home.arpa"}

func prefixes(list ...string) []netip.Prefix {
	p := make([]netip.Prefix, len(list))
	for i, s := range list {
		p[i] = netip.MustParsePrefix(s)
	}
	return p
}

func within(ip netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// External reports whether the address can be dialled from anywhere: an IP
// address outside the reserved ranges, a DNS name that is not local, or an
// onion address (V section 2). Memory addresses are not.
func External(a ma.Multiaddr) bool {
	return len(a) > 0 && external(component{a[0].Code(), a[0].RawValue()})
}

// external reports whether an address that begins with this component is external.
func external(first component) bool {
	switch first.code {
	case ma.P_IP4, ma.P_IP6:
		ip, ok := netip.AddrFromSlice(first.value)
		return ok && externalIP(ip)
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return externalName(string(first.value))
	case ma.P_ONION3:
		return true
	}
	return false
}

func externalIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	if compatible4.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	if ip.Is4() {
		return !within(ip, local4)
	}
	return !within(ip, local6)
}

func externalName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, local := range localNames {
		if name == local || strings.HasSuffix(name, "."+local) {
			return false
		}
	}
	return true
}

// Usable reports whether the address of an accepted claim is worth keeping: it is
// well formed, its DNS name is a host name, and it is [External] or test addresses
// are allowed. Other addresses are dropped; that is no offence of the peer (V4, V6).
func Usable(a ma.Multiaddr, testAddresses bool) bool {
	return usable(parts(a), testAddresses)
}

// UsableBytes is [Usable] for an address in binary form, as claims carry it. It costs less
// than parsing the address.
func UsableBytes(b []byte, testAddresses bool) bool {
	p, err := split(b)
	return err == nil && usable(p, testAddresses)
}

func usable(p []component, testAddresses bool) bool {
	if check(p) != nil {
		return false
	}
	if isDNS(p[0].code) && !hostName(string(p[0].value)) {
		return false
	}
	return testAddresses || external(p[0])
}

// Select returns the usable addresses of an accepted claim, in order.
func Select(claimed [][]byte, testAddresses bool) []ma.Multiaddr {
	var usable []ma.Multiaddr
	for _, b := range claimed {
		if a, err := FromBytes(b); err == nil && Usable(a, testAddresses) {
			usable = append(usable, a)
		}
	}
	return usable
}

// hostName reports whether the name is valid for a host: at most 253 characters in
// labels of 1 to 63 letters, digits and inner hyphens. The last label must not be a
// number, so that no IP address counts as a name (V6).
func hostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if !hostLabel(label) {
			return false
		}
		last = label
	}
	return !numeric(last)
}

func hostLabel(label string) bool {
	if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}

func numeric(label string) bool {
	if len(label) > 1 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X') {
		return true
	}
	return strings.Trim(label, "0123456789") == ""
}
