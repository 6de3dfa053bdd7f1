package peerstore

import (
	"encoding/binary"
	"net/netip"
)

// Origin is the source of the inbound connection from which a peer was first known:
// its IPv4 address, or the /64 of its IPv6 address. It is 0 for peers that came from
// the user, from an outbound connection or from another peer's list; the sender of a
// list is not the source of the peers in it. Origin is one number because every record
// has one.
//
// spec: V 27, 31.
type Origin uint64

// ExemptOrigin is the origin of connections without a limit per source: from loopback,
// where Tor's connections come from, from configured networks, and without an IP
// address.
//
// spec: V 8.
const ExemptOrigin Origin = 1

// originIP4 marks an IPv4 address. No public IPv6 /64 has a number as small.
const originIP4 = 1 << 32

// OriginOf returns the origin of an inbound connection from that source. The zero
// source stands for an exempt one.
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

// Source returns the source for limits per source; ok is false when there is none.
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
