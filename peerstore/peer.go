package peerstore

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// ActiveWithin is how recently an active peer must have been reached.
//
// spec: comms 12.3.
const ActiveWithin = 7 * 24 * time.Hour

// Flags are what we note about a peer. They are never sent.
type Flags uint8

// FlagSeed marks a peer that the network is entered through.
const FlagSeed Flags = 1

// Peer is a record of the store. A Peer that the store has handed out shares
// its slices and its claim with others: they must not be changed. [Peer.Clone]
// gives a record of one's own.
type Peer struct {
	Key         identity.PublicKey // zero while only a ban of its id is known
	ID          identity.NodeID
	Features    identity.Features
	Flags       Flags
	Origin      Origin        // where it first came from; our own note, never sent or exported
	Addresses   []Address     // best first, at most MaxAddresses
	Protocols   []protocol.ID // what it accepted when last heard; a hint
	UserAgent   string
	AddedAt     time.Time
	BannedUntil time.Time       // by the system's clock; see [Store.ShiftBans]
	BannedAt    time.Time       // when the ban was made; zero if that is not known
	BanReason   string          // printable, at most 256 bytes
	Claim       *identity.Claim // the newest verified one with an address that we use; nil if none
}

// FromClaim returns the record that a verified claim gives, its addresses
// having the given source. Addresses that cannot be kept are left out here or
// by [Store.Add].
func FromClaim(c identity.Claim, source Source) Peer {
	p := Peer{Key: c.Key, ID: c.Key.NodeID(), Features: c.Features, Claim: &c}
	for _, a := range address.Select(c.Addresses, true) {
		p.Addresses = append(p.Addresses, Address{Addr: a, Source: source})
	}
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

// OfflineSince returns when the first of the failed dials was, zero if the peer
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

// LastSeen returns when a dial of the peer last succeeded, zero if never.
func (p Peer) LastSeen() (seen time.Time) {
	for _, a := range p.Addresses {
		seen = later(seen, a.LastSeen)
	}
	return seen
}

// Active reports whether the peer is one to use and to tell others about: not
// banned, and reached within [ActiveWithin]. A time in the future, from before
// the clock was set back, is taken for now.
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
