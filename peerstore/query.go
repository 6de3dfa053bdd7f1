package peerstore

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// OfflineCooldown is how long a peer that went offline is not chosen again.
//
// spec: dht 11.1.
const OfflineCooldown = 24 * time.Hour

// Query says which peers to choose. The zero value chooses all.
//
// spec: comms 12.4.
type Query struct {
	Now      time.Time         // the time for Active, Usable and Rested
	Features identity.Features // all of these bits
	Clients  bool              // clients only
	Seeds    bool              // seeds only
	Active   bool              // reached within ActiveWithin, and not banned
	Usable   bool              // neither banned nor offline
	Rested   bool              // not gone offline within OfflineCooldown
	Except   []identity.NodeID // not these
	Where    func(p Peer) bool // a further condition; it must be quick and not use the store
}

// Match reports whether the query chooses the peer. It can be the filter of
// [View.Closest].
func (q Query) Match(p Peer) bool {
	switch {
	case p.Features&q.Features != q.Features,
		q.Clients && !p.Features.IsClient(),
		q.Seeds && p.Flags&FlagSeed == 0,
		q.Active && !p.Active(q.Now),
		q.Usable && (p.Banned(q.Now) || p.Offline()),
		q.Rested && p.CoolingDown(q.Now),
		slices.Contains(q.Except, p.ID),
		q.Where != nil && !q.Where(p):
		return false
	}
	return true
}

// CoolingDown reports whether the peer went offline within [OfflineCooldown]. It is
// false for a time in the future, from before the clock was set back.
func (p Peer) CoolingDown(now time.Time) bool {
	since := p.OfflineSince()
	return !since.IsZero() && !since.After(now) && now.Sub(since) < OfflineCooldown
}

// Select returns up to n peers that the query chooses, in the order of their
// ids; all of them when n is negative.
func Select(v View, q Query, n int) (found []Peer) {
	for p := range v.All() {
		if n >= 0 && len(found) >= n {
			break
		}
		if q.Match(p) {
			found = append(found, p)
		}
	}
	return found
}

// Random returns n of the peers that the query chooses, in random order and each with
// the same probability; all of them if there are fewer.
func Random(v View, q Query, n int, r *rand.Rand) (found []Peer) {
	seen := 0
	for p := range v.All() {
		if n <= 0 || !q.Match(p) {
			continue
		}
		if seen++; len(found) < n {
			found = append(found, p)
		} else if i := r.IntN(seen); i < n {
			found[i] = p
		}
	}
	r.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found
}
