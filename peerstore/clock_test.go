package peerstore

import (
	"bytes"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

var bothWays = []time.Duration{day, -day}

// TestBansMoveWithTheClock: a ban lasts as long as it was made for, and its end is
// shown on the clock as it is set.
func TestBansMoveWithTheClock(t *testing.T) {
	for _, by := range bothWays {
		db := kv.Memory()
		s := open(t, db, Options{})
		s.Ban(begin.Add(-2*time.Hour), key(1), begin.Add(-time.Hour), "over before")
		commit(t, s)

		s = open(t, db, Options{Now: begin})
		s.Ban(begin, key(2), begin.Add(time.Hour), "bad")
		s.BanNode(begin, key(3).NodeID(), begin.Add(time.Minute), "bad")
		add(t, s, begin, FromClaim(claim(key(4), 1, a1), Discovery))
		wall := begin.Add(10*time.Minute + by)
		if n := s.ShiftBans(by); n != 2 {
			t.Errorf("step %v: got %d bans moved, want 2", by, n)
		}
		check := func(when string, s *Store) {
			t.Helper()
			if until, _, ok := s.View().Banned(key(2).NodeID(), wall); !ok || !until.Equal(wall.Add(50*time.Minute)) {
				t.Errorf("step %v, %s: got a ban until %v, %t, want one of 50 more minutes", by, when, until, ok)
			}
			if _, _, ok := s.View().Banned(key(2).NodeID(), wall.Add(50*time.Minute)); ok {
				t.Errorf("step %v, %s: got the ban longer than its hour", by, when)
			}
			if _, _, ok := s.View().Banned(key(3).NodeID(), wall); ok {
				t.Errorf("step %v, %s: got a ban that was over, want it over", by, when)
			}
			if p := get(t, s, key(1).NodeID()); when == "at once" && !p.BannedUntil.Equal(begin.Add(-time.Hour)) {
				t.Errorf("step %v, %s: got the ban that was over at the start moved to %v", by, when, p.BannedUntil)
			}
			if p := get(t, s, key(4).NodeID()); !p.BannedUntil.IsZero() || !p.AddedAt.Equal(begin) {
				t.Errorf("step %v, %s: got a peer without a ban changed: %+v", by, when, p)
			}
		}
		check("at once", s)
		commit(t, s)
		check("after a restart", open(t, db, Options{Now: wall}))
		s.ShiftBans(-by) // and back again
		if until, _, _ := s.View().Banned(key(2).NodeID(), begin); !until.Equal(begin.Add(time.Hour)) {
			t.Errorf("step %v and back: got a ban until %v, want what it was", by, until)
		}
	}
}

// TestBansOfTheFuture: a stored ban that was made later than now lasts no longer
// than it was meant to. One of which it is not known stays as it is.
func TestBansOfTheFuture(t *testing.T) {
	for _, by := range bothWays {
		db := kv.Memory()
		s := open(t, db, Options{Now: begin})
		s.Ban(begin, key(1), begin.Add(time.Hour), "bad")
		commit(t, s)
		now := begin.Add(time.Minute + by)
		s = open(t, db, Options{Now: now})
		until, _, ok := s.View().Banned(key(1).NodeID(), now)
		switch {
		case by > 0 && ok:
			t.Errorf("a day later: got a ban until %v, want it over", until)
		case by < 0 && !until.Equal(now.Add(time.Hour)):
			t.Errorf("a day earlier: got a ban until %v, want one of an hour from %v", until, now)
		}
		if by < 0 && s.Pending() == 0 {
			t.Error("got nothing to write, want the ban kept as it is now")
		}
		old := Peer{Key: key(2), ID: key(2).NodeID(), BannedUntil: begin.Add(time.Hour), BanReason: "of version 1"}
		var b kv.Batch
		b.Set(recordKey(old.ID), appendRecord(nil, &old))
		if err := db.Apply(&b, true); err != nil {
			t.Fatal(err)
		}
		if p := get(t, open(t, db, Options{Now: begin.Add(-day)}), old.ID); !p.BannedUntil.Equal(old.BannedUntil) {
			t.Errorf("of unknown length: got it moved to %v, want %v", p.BannedUntil, old.BannedUntil)
		}
	}
}

// TestRecordOfABan: the time of a ban is kept; a record without one is as it was
// before there were any.
func TestRecordOfABan(t *testing.T) {
	p := Peer{Key: key(1), ID: key(1).NodeID(), AddedAt: begin, BannedUntil: begin.Add(time.Hour), BannedAt: begin, BanReason: "bad"}
	b := appendRecord(nil, &p)
	if b[0] != recordVersionBan {
		t.Errorf("got version %d, want %d", b[0], recordVersionBan)
	}
	got, err := decodeRecord(b, p.ID, newShared())
	if err != nil || !got.BannedAt.Equal(begin) || !got.BannedUntil.Equal(p.BannedUntil) || got.BanReason != "bad" {
		t.Errorf("got %+v, %v, want the ban", got, err)
	}
	if got != nil && !bytes.Equal(appendRecord(nil, got), b) {
		t.Error("got another encoding the second time")
	}
	p.BannedAt = time.Time{}
	plain := appendRecord(nil, &p)
	if plain[0] != recordVersion {
		t.Errorf("got version %d, want %d", plain[0], recordVersion)
	}
	forged := bytes.Clone(plain)
	forged[0] = recordVersionBan
	if _, err := decodeRecord(forged, p.ID, newShared()); err == nil {
		t.Error("got a record whose version does not fit its content, want an error")
	}
}

// TestStatisticsAcrossAStep: what depends on when a peer was seen, read a minute
// later with a clock that was set by a day: a time in the future is now where a
// peer was reached, and says nothing where it was not.
func TestStatisticsAcrossAStep(t *testing.T) {
	for _, by := range append(bothWays, 0, 365*day, -365*day) {
		s := open(t, kv.Memory(), Options{})
		add(t, s, begin, FromClaim(claim(key(1), 1, a1), Discovery))
		add(t, s, begin, FromClaim(claim(key(2), 1, a1), Discovery))
		s.Seen(begin, key(1).NodeID(), addr(a1), time.Millisecond)
		s.DialFailed(begin, key(2).NodeID(), addr(a1), "refused")
		now := begin.Add(time.Minute + by)
		up, down := get(t, s, key(1).NodeID()), get(t, s, key(2).NodeID())
		if got, want := up.Active(now), by < ActiveWithin; got != want {
			t.Errorf("step %v: got a peer that was reached active %t, want %t", by, got, want)
		}
		if got, want := down.CoolingDown(now), by == 0; got != want {
			t.Errorf("step %v: got a peer that was not reached resting %t, want %t", by, got, want)
		}
		score, _ := up.Addresses[0].Score(now)
		if want := map[bool]int{true: 1000, false: 1000 - 60}[by < 0]; by <= 0 && score != want {
			t.Errorf("step %v: got score %d, want %d", by, score, want)
		}
		if by > 0 && score != 200 {
			t.Errorf("step %v: got score %d, want 200, as for one not seen for long", by, score)
		}
	}
}

// TestPruneAcrossAStep: the first look after the clock was set back takes later
// times for now, unless most are later; nothing is removed either way.
func TestPruneAcrossAStep(t *testing.T) {
	for _, by := range bothWays {
		s := open(t, kv.Memory(), Options{})
		for i := range uint64(5) {
			p := add(t, s, begin.Add(-2*day), FromClaim(claim(key(i), 1, a1), Discovery))
			if i < 2 {
				s.Seen(begin, p.ID, addr(a1), time.Millisecond)
			}
		}
		now := begin.Add(by)
		removed, corrected := s.Prune(now)
		if want := map[bool]int{true: 0, false: 2}[by > 0]; removed != 0 || corrected != want {
			t.Errorf("step %v: got %d removed and %d corrected, want 0 and %d", by, removed, corrected, want)
		}
		for i := range uint64(5) {
			if p := get(t, s, key(i).NodeID()); p.LastSeen().After(now) || p.AddedAt.After(now) {
				t.Errorf("step %v: got peer %d added at %v, seen at %v, later than now", by, i, p.AddedAt, p.LastSeen())
			}
		}
	}
}
