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
	bans   int       // records that [condemned] is true of
	tried  time.Time // when nothing could be removed
	looked time.Time // when no ban could be removed
}

// retryPruning is how long to wait after finding nothing to remove, so that a
// flood of new peers does not make the store look again each time.
const retryPruning = 10 * time.Second

// banKept is how long a ban without addresses is kept after its end, so that a
// clock that is ahead for a while does not lose it.
const banKept = 7 * 24 * time.Hour

// banShare is which part of the limit bans of peers that were never reached may
// take: 10,000 of 50,000 (V31). provenShare of ten is what peers that were
// reached may take before those of longest ago make way for others.
const (
	banShare    = 5
	provenShare = 9
)

// proven reports whether the peer was ever reached.
func proven(p *Peer) bool { return !p.LastSeen().IsZero() }

// condemned reports whether the record holds a ban, also one that is over, of a
// peer that was never reached.
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

// room reports whether the record, which is new, may be added, after removing
// some if there is no room. A twentieth of the limit goes at a time, see
// victims. The caller holds mu.
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
// kept, after removing some if there are MaxBans. Of those the bans go that are
// over. Unless they are of a source that can be refused itself, active ones go
// too, those that end soonest: first of exempt sources, then of others, then those
// that the user wished. The caller holds mu.
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

// banOrder orders bans by which of them goes first.
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

// Prune keeps the store in order, every now and then: it removes what is beyond
// the limits, bans long over and nothing else, and takes times later than now,
// of a clock that was set back, for now. It returns how many records it removed,
// and in how many it put times right: in none if most are ahead, since then it
// is now that is wrong, as on a machine that starts in 1970.
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

// ahead reports whether the record holds a time later than now. The end of a ban
// is none of them.
func ahead(p *Peer, now time.Time) bool {
	return p.AddedAt.After(now) || slices.ContainsFunc(p.Addresses, func(a Address) bool {
		return a.LastSeen.After(now) || a.LastAttempted.After(now)
	})
}

// setBack returns the record with now for every later time.
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

// victims returns the records to remove now, so that there is room for so many,
// in this order: bans without addresses that ended banKept ago; bans of peers
// never reached beyond MaxBans; peers never reached, of the source that has most
// of them, so that the sources come to have equally many, those without addresses
// first and then the oldest; peers that were reached, but not within
// ReachedWithin, as long as those reached have more than provenShare tenths of
// the limit, or all if what makes them go is the user's wish. Seeds, configured
// and connected peers stay, and those that are banned.
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

// bySource orders peers that were never reached by which of them goes first: of
// the source that has most of them, then as usefulness and age say. What has no
// origin, as what a seed's list taught, stands for itself: no flood from a source
// moves it, but where every source has one peer left the oldest of all goes.
//
// spec: V27.
func bySource(all []*Peer) {
	first := func(a, b *Peer) int {
		return cmp.Or(cmp.Compare(worth(a), worth(b)), a.AddedAt.Compare(b.AddedAt), a.ID.Compare(b.ID))
	}
	slices.SortFunc(all, first)
	before := make(map[identity.NodeID]int) // how many of the same source stay when this one goes
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

// worth orders the peers that may go: records without addresses go first.
func worth(p *Peer) int { return min(len(p.Addresses), 1) }
