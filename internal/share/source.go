package share

import (
	"encoding/binary"
	"net/netip"
)

// Source is where somebody's connection comes from, as one number: an IPv4 address, or the
// /64 of an IPv6 address. Package peerstore keeps the same numbers on the disk.
type Source uint64

const (
	// None is the source of what this node or its user caused, such as a peer that it has
	// dialled. Each key of it counts as a source of its own.
	None Source = 0
	// Exempt is the source of connections without a limit for each source: from loopback, where
	// Tor's connections come from, from configured networks, and without an IP address.
	Exempt Source = 1
)

const (
	ip4 = 1 << 32 // marks an IPv4 address; no public IPv6 /64 has a number as small
	ip6 = 2 * ip4 // the least number of an IPv6 /64
	net = 1 << 63 // marks a subnet; no public IPv6 /64 has a number as great
)

// Of returns the source of an address. One that is not valid, and an IPv6 address whose /64
// has too small a number to be public, are exempt.
func Of(ip netip.Addr) Source {
	ip = ip.Unmap()
	switch {
	case ip.Is4():
		b := ip.As4()
		return ip4 | Source(binary.BigEndian.Uint32(b[:]))
	case ip.Is6():
		b := ip.As16()
		if s := Source(binary.BigEndian.Uint64(b[:8])); s >= ip6 {
			return s
		}
	}
	return Exempt
}

// Prefix returns the network of the source; ok is false for [None] and [Exempt].
func (s Source) Prefix() (source netip.Prefix, ok bool) {
	switch {
	case s >= ip6:
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(s))
		return netip.PrefixFrom(netip.AddrFrom16(b), 64), true
	case s >= ip4:
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(s))
		return netip.PrefixFrom(netip.AddrFrom4(b), 32), true
	}
	return netip.Prefix{}, false
}

// String returns the source's network, "exempt", or "none".
func (s Source) String() string {
	if source, ok := s.Prefix(); ok {
		return source.String()
	}
	if s == Exempt {
		return "exempt"
	}
	return "none"
}

// Subnet returns the number of the /24 or the /48 that the source is in, [None] if it has none.
// It equals no source.
func (s Source) Subnet() Source {
	switch {
	case s >= ip6:
		return s>>16 | net
	case s >= ip4:
		return s >> 8
	}
	return 0
}
