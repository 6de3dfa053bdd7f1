package peerstore

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// ReachedWithin is how long a successful dial keeps a peer from being removed to
// make room.
//
// spec: V31; versions section 7.
const ReachedWithin = 24 * time.Hour

// pruner keeps the store below its limit.
type pruner struct {
	bans   int       // records for which [condemned] is true
	tried  time.Time // last time that nothing could be removed
	looked time.Time // last time that no ban could be removed
}

// retryPruning is how long to wait after nothing could be removed, so that a flood of
// new peers does not make the store search again each time.
const retryPruning = 10 * time.Second

// banKept is how long a ban without addresses is kept after its end, so that a
// clock that is ahead for a while does not lose it.
const banKept = 7 * 24 * time.Hour

// banShare limits bans of peers that were never reached: they may take one banShare-th
// of the limit, 10,000 of 50,000 (V31). provenShare limits peers that were reached:
// when they take more than provenShare tenths of the limit, those that were reached
// longest ago are removed for new peers.
const (
	banShare    = 5
	provenShare = 9
)

// proven reports whether the peer was ever reached.
func proven(p *Peer) bool { return !p.LastSeen().IsZero() }

// condemned reports whether the record holds a ban, even one that has ended, of a peer
// that was never reached.
func condemned(p *Peer) bool { return !p.BannedUntil.IsZero() && !proven(p) && !p.Configured() }

func (s *pruner) added(p *Peer) {
	if condemned(p) {
		s.bans++
	}
}

func (s *pruner) removed(p *Peer) {
	if p != nil && condemned(p) {
		s.bans--
	}
}

// MaxBans returns how many bans of peers that were never reached the store holds.
func (s *Store) MaxBans() int { return max(s.o.MaxPeers/banShare, 1) }

// room reports whether the new record p may be added. If the store is full, room first
// removes a twentieth of the limit, as victims chooses. The caller holds mu.
//
// spec: V31.
func (s *Store) room(now time.Time, p *Peer) bool {
	limit := s.o.MaxPeers
	if s.index.n < limit {
		return true
	}
	wanted := p.Configured()
	if since := now.Sub(s.space.tried); !wanted && !s.space.tried.IsZero() && since >= 0 && since < retryPruning {
		return false
	}
	for _, v := range s.victims(now, max(limit/20, 1), wanted) {
		s.remove(v.ID)
	}
	if s.space.tried = (time.Time{}); s.index.n >= limit {
		s.space.tried = now
	}
	return s.index.n < limit
}

// roomForBan reports whether one more ban of a peer that was never reached may be
// kept. If there are MaxBans, it first removes bans that have ended. If origin is not a
// source that can be refused itself, it also removes active bans, those that end
// soonest first: first bans of exempt sources, then of others, then those that the user
// made. The caller holds mu.
//
// spec: V31.
func (s *Store) roomForBan(now time.Time, origin Origin) bool {
	if s.space.bans < s.MaxBans() {
		return true
	}
	_, sourced := origin.Source()
	if since := now.Sub(s.space.looked); sourced && !s.space.looked.IsZero() && since >= 0 && since < retryPruning {
		return false
	}
	var list []*Peer
	for _, p := range s.index.all() {
		if condemned(p) && (!sourced || !p.Banned(now)) && !s.connected(p) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, banOrder(now))
	for _, p := range list[:min(len(list), max(s.MaxBans()/20, 1))] {
		s.remove(p.ID)
	}
	if s.space.looked = (time.Time{}); len(list) == 0 {
		s.space.looked = now
	}
	return len(list) > 0 || !sourced
}

// banOrder returns a comparison that orders bans: the first to be removed comes first.
func banOrder(now time.Time) func(a, b *Peer) int {
	class := func(p *Peer) int {
		switch {
		case !p.Banned(now):
			return 0
		case p.Origin == ExemptOrigin:
			return 1
		case p.Origin != 0:
			return 2
		}
		return 3 // the user's
	}
	return func(a, b *Peer) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), a.BannedUntil.Compare(b.BannedUntil), a.ID.Compare(b.ID))
	}
}

func (s *Store) connected(p *Peer) bool { return s.o.Connected != nil && s.o.Connected(p.ID) }

// Prune removes records beyond the limits, and records that only hold a ban that ended
// long ago. It also sets times later than now, from before the clock was set back, to
// now. Call it from time to time. It returns how many records it removed, and in how
// many it corrected times. It corrects none if most records have times later than now:
// then now itself is wrong, as on a machine that starts in 1970.
//
// spec: V31.
func (s *Store) Prune(now time.Time) (removed, corrected int) {
	now = moment(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	var early []*Peer
	for _, p := range s.index.all() {
		if ahead(p, now) {
			early = append(early, p)
		}
	}
	if len(early) <= s.index.n/2 {
		for _, p := range early {
			s.replace(setBack(p, now))
		}
		corrected = len(early)
	}
	if s.index.n > s.o.MaxPeers || s.space.bans > 0 {
		for _, v := range s.victims(now, 0, true) {
			s.remove(v.ID)
			removed++
		}
	}
	return removed, corrected
}

// ahead reports whether the record holds a time later than now, apart from the end of a
// ban.
func ahead(p *Peer, now time.Time) bool {
	return p.AddedAt.After(now) || slices.ContainsFunc(p.Addresses, func(a Address) bool {
		return a.LastSeen.After(now) || a.LastAttempted.After(now)
	})
}

// setBack returns a copy of the record with now in place of every later time.
func setBack(p *Peer, now time.Time) *Peer {
	earlier := func(t time.Time) time.Time {
		if t.After(now) {
			return now
		}
		return t
	}
	q := *p
	q.AddedAt = earlier(q.AddedAt)
	q.Addresses = slices.Clone(q.Addresses)
	for i := range q.Addresses {
		a := &q.Addresses[i]
		a.LastSeen, a.LastAttempted = earlier(a.LastSeen), earlier(a.LastAttempted)
	}
	return &q
}

// victims returns the records to remove now so that there is room for so many more. It
// chooses them in this order:
//
//   - bans without addresses that ended banKept ago;
//   - bans of peers never reached, above MaxBans;
//   - peers never reached: each time one of the source that has most of them, first
//     those without addresses, then the oldest;
//   - peers that were reached, but not within ReachedWithin, while the reached peers
//     take more than provenShare tenths of the limit; if the user wants the new peer,
//     down to none.
//
// It never chooses seeds, configured peers, connected peers or other banned peers.
//
// spec: V31.
func (s *Store) victims(now time.Time, room int, wanted bool) []*Peer {
	limit := s.o.MaxPeers
	var out, bans, rest, stale []*Peer
	reached := 0
	for _, p := range s.index.all() {
		if proven(p) {
			reached++
		}
		switch {
		case p.Configured(), s.connected(p):
		case len(p.Addresses) == 0 && !p.BannedUntil.IsZero() && now.Sub(p.BannedUntil) >= banKept:
			out = append(out, p)
		case condemned(p):
			bans = append(bans, p)
		case p.Banned(now):
		case !proven(p):
			rest = append(rest, p)
		case now.Sub(p.LastSeen()) >= ReachedWithin:
			stale = append(stale, p)
		}
	}
	slices.SortFunc(bans, banOrder(now))
	if many := len(bans) - s.MaxBans(); many > 0 {
		out, bans = append(out, bans[:many]...), bans[many:]
	}
	for _, p := range bans {
		if !p.Banned(now) {
			rest = append(rest, p)
		}
	}
	need := s.index.n - len(out) - limit + room
	if need <= 0 {
		return out
	}
	bySource(rest)
	taken := min(need, len(rest))
	out, need = append(out, rest[:taken]...), need-taken
	if !wanted {
		need = min(need, reached-limit*provenShare/10)
	}
	if need > 0 {
		slices.SortFunc(stale, func(a, b *Peer) int {
			return cmp.Or(a.LastSeen().Compare(b.LastSeen()), a.AddedAt.Compare(b.AddedAt), a.ID.Compare(b.ID))
		})
		out = append(out, stale[:min(need, len(stale))]...)
	}
	return out
}

// bySource orders peers that were never reached: the first to be removed comes first.
// That is a peer of the source that has most of them; among the peers of a source,
// usefulness and age decide. Each peer without an origin, for instance from a seed's
// list, counts as the only one of a source. So a flood from one source does not remove
// it, but when every source has one peer left, the oldest of all is removed.
//
// spec: V27.
func bySource(all []*Peer) {
	first := func(a, b *Peer) int {
		return cmp.Or(cmp.Compare(worth(a), worth(b)), a.AddedAt.Compare(b.AddedAt), a.ID.Compare(b.ID))
	}
	slices.SortFunc(all, first)
	before := make(map[identity.NodeID]int) // how many peers of its source stay when this one is removed
	count := make(map[Origin]int)
	for _, p := range slices.Backward(all) {
		if p.Origin != 0 {
			before[p.ID] = count[p.Origin]
			count[p.Origin]++
		}
	}
	slices.SortStableFunc(all, func(a, b *Peer) int {
		return cmp.Or(cmp.Compare(before[b.ID], before[a.ID]), first(a, b))
	})
}

// worth orders the peers that may be removed: records without addresses come first.
func worth(p *Peer) int { return min(len(p.Addresses), 1) }
