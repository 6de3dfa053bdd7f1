package peerstore

import (
	"cmp"
	"slices"
	"time"
)

// ReachedWithin is how long a successful dial keeps a peer from being removed to
// make room.
//
// spec: V31; versions section 7.
const ReachedWithin = 24 * time.Hour

// pruner keeps the store below its limit.
type pruner struct {
	bare  int       // records with a ban and without addresses
	tried time.Time // when nothing could be removed
}

// retryPruning is how long to wait after finding nothing to remove, so that a
// flood of new peers does not make the store look again each time.
const retryPruning = 10 * time.Second

// banKept is how long a ban without addresses is kept after its end, so that a
// clock that is ahead for a while does not lose it.
const banKept = 7 * 24 * time.Hour

func bare(p *Peer) bool { return len(p.Addresses) == 0 && !p.BannedUntil.IsZero() }

func (s *pruner) added(p *Peer) {
	if bare(p) {
		s.bare++
	}
}

func (s *pruner) removed(p *Peer) {
	if p != nil && bare(p) {
		s.bare--
	}
}

// room reports whether one more record may be added, after removing some if
// there is none. A twentieth of the limit goes at a time. Removed are, in this
// order: bans without addresses that ended banKept ago; the others beyond a fifth
// of the limit, those that end first; those that are over; peers never reached, the oldest first; peers not
// reached for ReachedWithin, the longest ago first. Seeds, configured and
// connected peers stay, and those banned, a fifth of the limit at most. The
// caller holds mu.
//
// spec: V31.
func (s *Store) room(now time.Time) bool {
	limit := s.o.MaxPeers
	if s.index.n < limit && s.space.bare <= limit/5 {
		return true
	}
	if since := now.Sub(s.space.tried); !s.space.tried.IsZero() && since >= 0 && since < retryPruning {
		return s.index.n < limit
	}
	before := s.index.n
	for _, v := range s.victims(now, max(s.o.MaxPeers/20, 1)) {
		s.remove(v.ID)
	}
	if s.space.tried = (time.Time{}); s.index.n == before {
		s.space.tried = now
	}
	return s.index.n < limit
}

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
	if s.index.n > s.o.MaxPeers || s.space.bare > 0 {
		for _, v := range s.victims(now, 0) {
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

// victims returns the records to remove now, so that there is room for so many.
func (s *Store) victims(now time.Time, room int) []*Peer {
	limit := s.o.MaxPeers
	var out, bans, bareBans, over, rest []*Peer
	for _, p := range s.index.all() {
		switch {
		case p.Configured(), s.o.Connected != nil && s.o.Connected(p.ID):
		case p.Banned(now) && len(p.Addresses) == 0:
			bareBans = append(bareBans, p)
		case bare(p) && now.Sub(p.BannedUntil) >= banKept:
			out = append(out, p)
		case bare(p):
			over = append(over, p)
		case p.Banned(now):
			bans = append(bans, p)
		case now.Sub(p.LastSeen()) >= ReachedWithin: // or never
			rest = append(rest, p)
		}
	}
	soonest := func(a, b *Peer) int { return cmp.Or(a.BannedUntil.Compare(b.BannedUntil), a.ID.Compare(b.ID)) }
	for _, list := range [][]*Peer{slices.Concat(over, bareBans), bans} {
		if many := len(list) - limit/5; many > 0 {
			slices.SortFunc(list, soonest)
			out = append(out, list[:min(many+limit/100, len(list))]...)
		}
	}
	if n := len(over) + len(bareBans) - limit/5; n > 0 { // the first of them have gone already
		slices.SortFunc(over, soonest)
		over = over[min(n+limit/100, len(over)):]
	}
	rest = append(rest, over...)
	if need := s.index.n - len(out) - limit + room; need > 0 {
		slices.SortFunc(rest, func(a, b *Peer) int {
			return cmp.Or(cmp.Compare(worth(a), worth(b)), a.LastSeen().Compare(b.LastSeen()), a.AddedAt.Compare(b.AddedAt), a.ID.Compare(b.ID))
		})
		out = append(out, rest[:min(need, len(rest))]...)
	}
	return out
}

// worth orders the peers that may go: records without addresses first, then
// those never reached.
func worth(p *Peer) int {
	switch {
	case len(p.Addresses) == 0:
		return 0
	case p.LastSeen().IsZero():
		return 1
	}
	return 2
}
