package peerstore

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// age compares the date of a new record's claim with that of the stored one.
type age uint8

const (
	unsigned age = iota // the new record has no claim
	older               // dated before the stored one
	same                // dated as the stored one
	newer               // dated after it, or the first
)

func ageOf(stored, claim *identity.Claim) age {
	switch {
	case claim == nil:
		return unsigned
	case stored == nil || claim.Newer(*stored):
		return newer
	case stored.Newer(*claim):
		return older
	}
	return same
}

// merge returns the stored record old merged with the new record n. Both are clean; old
// does not change.
//
//   - A ban is never shortened. The longer one stays, with its reason.
//   - A strictly newer claim replaces the older signed addresses. Addresses in both
//     keep their statistics, and configured ones stay in any case. A claim without an
//     address that may be kept replaces nothing.
//   - A claim older than the stored one changes statistics only.
//   - Protocols, user agent and features come from the new record, if it has any.
//     Flags are local: only a record that did not come from the peer sets them.
//
// spec: comms 1.5, 12.2; V5, V11.
func merge(old *Peer, n Peer, now time.Time) *Peer {
	m := *old
	if m.Key.IsZero() {
		m.Key = n.Key
	}
	if m.AddedAt.IsZero() || !n.AddedAt.IsZero() && n.AddedAt.Before(m.AddedAt) {
		m.AddedAt = n.AddedAt
	}
	if n.BannedUntil.After(m.BannedUntil) {
		m.BannedUntil, m.BannedAt, m.BanReason = n.BannedUntil, n.BannedAt, n.BanReason
	}
	a := ageOf(old.Claim, n.Claim)
	if a != older {
		m.Features = n.Features
		if len(n.Protocols) > 0 {
			m.Protocols = n.Protocols
		}
		if n.UserAgent != "" {
			m.UserAgent = n.UserAgent
		}
	}
	if a == unsigned {
		m.Flags = n.Flags
	}
	if a == newer && len(n.Addresses) > 0 {
		m.Claim = n.Claim
	}
	m.Addresses = mergeAddresses(old.Addresses, n.Addresses, a, now)
	return &m
}

func mergeAddresses(old, new []Address, a age, now time.Time) []Address {
	list := make([]Address, 0, max(len(old), len(new))) // as a rule they are the same
	for _, o := range old {
		i := find(new, o.Addr)
		if i < 0 {
			if a == newer && o.Source != Config && len(new) > 0 {
				continue // the peer does not claim it any more
			}
			list = append(list, o)
			continue
		}
		o.merge(new[i])
		if o.Source != Config && (a == newer || new[i].Source == Config) {
			o.Source = new[i].Source
		}
		list = append(list, o)
	}
	if a != older {
		for _, n := range new {
			if find(old, n.Addr) < 0 {
				list = append(list, n)
			}
		}
	}
	return slices.Clip(rank(list, now))
}
