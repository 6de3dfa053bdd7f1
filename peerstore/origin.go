package peerstore

import (
	"net/netip"

	"github.com/gamelan-p2p/gamelan/internal/share"
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
const ExemptOrigin = Origin(share.Exempt)

// OriginOf returns the origin of an inbound connection from that source. The zero
// source stands for an exempt one.
func OriginOf(source netip.Prefix) Origin { return Origin(share.Of(source.Addr())) }

// Source returns the source for limits per source; ok is false when there is none.
func (o Origin) Source() (source netip.Prefix, ok bool) { return share.Source(o).Prefix() }

// String returns the source, "exempt", or "none".
func (o Origin) String() string { return share.Source(o).String() }
