package address

import (
	"fmt"
	"net/netip"
)

// SpecialRange is a range of IP addresses to which a node must not connect because a
// stranger says so: they lead to this machine, to its own network, to no host, or
// through a gateway to an IPv4 address inside the address.
type SpecialRange struct {
	Prefix netip.Prefix
	Name   string // its purpose, for instance "loopback"
}

// String returns the prefix and the purpose.
func (r SpecialRange) String() string { return fmt.Sprintf("%s (%s)", r.Prefix, r.Name) }

// SpecialError reports an IP address in a special-purpose range.
type SpecialError struct {
	IP    netip.Addr
	Range SpecialRange
}

// Error names the address and its range.
func (e *SpecialError) Error() string {
	return fmt.Sprintf("%s is in the special-purpose range %s, to which no address that a peer claims may lead", e.IP, e.Range)
}

// The special-purpose registries of IANA for IPv4 and IPv6 (RFC 6890), including the
// ranges that they call globally reachable, except [nat64]. Multicast, and everything
// outside of 2000::/3, where no IPv6 address of the internet is, come from other
// registries. The first range that contains an address counts, so a narrow range
// stands before a wide one.
var (
	special4 = ranges(
		"0.0.0.0/8", "this network",
		"10.0.0.0/8", "private",
		"100.64.0.0/10", "carrier-grade NAT",
		"127.0.0.0/8", "loopback",
		"169.254.0.0/16", "link-local",
		"172.16.0.0/12", "private",
		"192.0.0.0/24", "IETF protocol assignments",
		"192.0.2.0/24", "documentation",
		"192.31.196.0/24", "AS112",
		"192.52.193.0/24", "multicast tunnels",
		"192.88.99.0/24", "6to4 relays",
		"192.168.0.0/16", "private",
		"192.175.48.0/24", "AS112",
		"198.18.0.0/15", "benchmarking",
		"198.51.100.0/24", "documentation",
		"203.0.113.0/24", "documentation",
		"224.0.0.0/4", "multicast",
		"255.255.255.255/32", "broadcast",
		"240.0.0.0/4", "reserved",
	)
	special6 = ranges(
		"::/128", "unspecified",
		"::1/128", "loopback",
		"::/96", "IPv4-compatible",
		"64:ff9b:1::/48", "local NAT64",
		"100::/64", "discard",
		"100:0:0:1::/64", "dummy prefix",
		"2001::/32", "Teredo",
		"2001:2::/48", "benchmarking",
		"2001:10::/28", "ORCHID",
		"2001:20::/28", "ORCHID",
		"2001::/23", "IETF protocol assignments",
		"2001:db8::/32", "documentation",
		"2002::/16", "6to4",
		"2620:4f:8000::/48", "AS112",
		"3fff::/20", "documentation",
		"5f00::/16", "segment routing",
		"fc00::/7", "unique local",
		"fe80::/10", "link-local",
		"fec0::/10", "site-local",
		"ff00::/8", "multicast",
		// The rest outside of 2000::/3.
		"::/3", "reserved",
		"4000::/2", "reserved",
		"8000::/1", "reserved",
	)
)

// nat64 is the range whose addresses lead, on a network with a NAT64 gateway, to the
// IPv4 address in their last four bytes (RFC 6052). A network without IPv4 has no
// other way to such an address.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func ranges(list ...string) []SpecialRange {
	r := make([]SpecialRange, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		r = append(r, SpecialRange{netip.MustParsePrefix(list[i]), list[i+1]})
	}
	return r
}

// Public returns nil for an IP address to which a node may connect because a stranger
// says so, and a *[SpecialError] for every other. An IPv4-mapped address counts as
// its IPv4 address, and a zone is ignored.
//
// Public is stricter than [External], which decides about the addresses that a node
// keeps and passes on, and has to agree with other implementations (V section 2). Call
// Public for the address of a connection, after names are resolved.
func Public(ip netip.Addr) error {
	ip = ip.WithZone("").Unmap() // no prefix contains an address with a zone
	list, at := special6, ip
	if nat64.Contains(ip) {
		b := ip.As16()
		at = netip.AddrFrom4([4]byte(b[12:]))
	}
	if at.Is4() {
		list = special4
	}
	if !ip.IsValid() {
		return &SpecialError{IP: ip, Range: SpecialRange{Name: "no address"}}
	}
	for _, r := range list {
		if r.Prefix.Contains(at) {
			return &SpecialError{ip, r}
		}
	}
	return nil
}
