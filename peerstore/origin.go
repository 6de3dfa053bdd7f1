package peerstore

import (
	"encoding/binary"
	"net/netip"
)

// Origin says which source a record was made for: the IPv4 address, or the IPv6
// /64, of the inbound connection that the peer was first known by. It is 0 for
// peers that the user, a dial of ours or another peer's list taught: who sends a
// list is never taken for the source of what is in it. It is as small as it is
// because every record has one.
//
// spec: V 27, 31.
type Origin uint64

// ExemptOrigin is where everything comes from that no limit per source holds
// for: loopback, with Tor behind it, what has no IP address, configured networks.
//
// spec: V 8.
const ExemptOrigin Origin = 1

// originIP4 marks an IPv4 address. No public IPv6 /64 has a number as small.
const originIP4 = 1 << 32

// OriginOf returns the origin of an inbound connection from that source, which
// is zero for exempt ones.
func OriginOf(source netip.Prefix) Origin {
	if !source.IsValid() {
		return ExemptOrigin
	}
	if ip := source.Addr().Unmap(); ip.Is4() {
		b := ip.As4()
		return originIP4 | Origin(binary.BigEndian.Uint32(b[:]))
	}
	b := source.Addr().As16()
	if o := Origin(binary.BigEndian.Uint64(b[:8])); o >= 2*originIP4 {
		return o
	}
	return ExemptOrigin
}

// Source returns the source that limits count by; ok is false when there is none.
func (o Origin) Source() (source netip.Prefix, ok bool) {
	switch {
	case o >= 2*originIP4:
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], uint64(o))
		return netip.PrefixFrom(netip.AddrFrom16(b), 64), true
	case o >= originIP4:
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(o))
		return netip.PrefixFrom(netip.AddrFrom4(b), 32), true
	}
	return netip.Prefix{}, false
}

// String returns the source, "exempt", or "none".
func (o Origin) String() string {
	if source, ok := o.Source(); ok {
		return source.String()
	}
	if o == ExemptOrigin {
		return "exempt"
	}
	return "none"
}
