package peerstore

import (
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ActiveWithin is how recently an active peer must have been reached.
//
// spec: comms 12.3.
const ActiveWithin = 7 * 24 * time.Hour

// Flags are this node's notes about a peer. They are never sent.
type Flags uint8

// FlagSeed marks a peer through which a node enters the network.
const FlagSeed Flags = 1

// Peer is a record of the store. A Peer from the store shares its slices and its claim
// with others: do not change them. [Peer.Clone] returns a copy that may be changed.
type Peer struct {
	Key         identity.PublicKey // zero while only a ban of its id is known
	ID          identity.NodeID
	Features    identity.Features
	Flags       Flags
	Origin      Origin        // where it first came from; never sent or exported
	Addresses   []Address     // best first, at most MaxAddresses
	Protocols   []protocol.ID // protocols that it accepted when it was last connected; a hint
	UserAgent   string
	AddedAt     time.Time
	BannedUntil time.Time       // by the system's clock; see [Store.ShiftBans]
	BannedAt    time.Time       // when the ban was made; zero if that is not known
	BanReason   string          // printable, at most 256 bytes
	Claim       *identity.Claim // the newest verified one with a usable address; nil if none
}

// FromClaim returns a record made of a verified claim, with the given source for its
// addresses. FromClaim or [Store.Add] omits addresses that cannot be kept.
func FromClaim(c identity.Claim, source Source) Peer {
	p := Peer{Key: c.Key, ID: c.Key.NodeID(), Features: c.Features, Claim: &c}
	for _, a := range address.Select(c.Addresses, true) {
		p.Addresses = append(p.Addresses, Address{Addr: a, Source: source})
	}
	return p
}

// HeardOver returns the record without addresses that lead elsewhere from here, such as
// 127.0.0.1 of another machine. over is the address of the node from which its claim was heard, nil if that
// is not known.
func (p Peer) HeardOver(over ma.Multiaddr) Peer {
	p.Addresses = slices.DeleteFunc(slices.Clone(p.Addresses), func(a Address) bool { return address.Foreign(a.Addr, over) })
	return p
}

// Clone returns a copy that shares nothing that can be changed.
func (p Peer) Clone() Peer {
	p.Addresses = slices.Clone(p.Addresses)
	for i := range p.Addresses {
		p.Addresses[i].Addr = slices.Clone(p.Addresses[i].Addr)
	}
	p.Protocols = slices.Clone(p.Protocols)
	if p.Claim != nil {
		c := *p.Claim
		c.Addresses = slices.Clone(c.Addresses)
		for i := range c.Addresses {
			c.Addresses[i] = slices.Clone(c.Addresses[i])
		}
		p.Claim = &c
	}
	return p
}

// Banned reports whether the peer is banned at the time now of the system's
// clock.
func (p Peer) Banned(now time.Time) bool { return p.BannedUntil.After(now) }

// Offline reports whether the peer has addresses and the last dial of each of
// them failed.
//
// spec: comms 12.3.
func (p Peer) Offline() bool {
	for _, a := range p.Addresses {
		if a.LastFailure == "" {
			return false
		}
	}
	return len(p.Addresses) > 0
}

// OfflineSince returns the time of the first of the failed dials, or zero if the peer
// is not offline.
func (p Peer) OfflineSince() (since time.Time) {
	if !p.Offline() {
		return time.Time{}
	}
	for _, a := range p.Addresses {
		if since.IsZero() || a.LastAttempted.Before(since) {
			since = a.LastAttempted
		}
	}
	return since
}

// LastSeen returns the time of the last successful dial of the peer, or zero.
func (p Peer) LastSeen() (seen time.Time) {
	for _, a := range p.Addresses {
		seen = later(seen, a.LastSeen)
	}
	return seen
}

// Active reports whether a node should use the peer and pass it on to others: it is not
// banned, and was reached within [ActiveWithin]. A time in the future, from before
// the clock was set back, counts as now.
//
// spec: comms 12.3.
func (p Peer) Active(now time.Time) bool {
	seen := p.LastSeen()
	return !p.Banned(now) && !seen.IsZero() && now.Sub(seen) <= ActiveWithin
}

// Configured reports whether the user knows the peer: it is a seed or has an
// address from the configuration.
func (p Peer) Configured() bool {
	return p.Flags&FlagSeed != 0 || slices.ContainsFunc(p.Addresses, func(a Address) bool { return a.Source == Config })
}
