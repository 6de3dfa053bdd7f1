package peerstore

import "time"

// startBans restarts bans that were made after now, before the clock was set back. It
// also notes when the store was opened.
func (s *Store) startBans(now time.Time) {
	if now.IsZero() {
		return
	}
	now = moment(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = now
	for _, p := range s.index.all() {
		if p.BannedAt.After(now) {
			q := *p
			q.BannedUntil, q.BannedAt = moment(now.Add(max(0, p.BannedUntil.Sub(p.BannedAt)))), now
			s.replace(&q)
		}
	}
}

// ShiftBans moves the bans by the same amount as the system's clock was set, so that
// each ban keeps its duration. It does not move bans that had ended when the store was
// opened: if the clock was ahead then, they continue. It returns how many it moved.
func (s *Store) ShiftBans(by time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.index.all() {
		if p.BannedUntil.IsZero() || !p.BannedUntil.After(s.opened) {
			continue
		}
		q := *p
		q.BannedUntil = moment(p.BannedUntil.Add(by))
		if !p.BannedAt.IsZero() {
			q.BannedAt = moment(p.BannedAt.Add(by))
		}
		s.replace(&q)
		n++
	}
	if !s.opened.IsZero() {
		s.opened = moment(s.opened.Add(by))
	}
	return n
}
