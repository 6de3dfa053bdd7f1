package peerstore

import (
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// conforms: V 31
func TestFloodOfPeersLosesNobodyWhoMatters(t *testing.T) {
	const limit = 200
	connected := key(4).NodeID()
	s := open(t, kv.Memory(), Options{MaxPeers: limit, Connected: func(id identity.NodeID) bool { return id == connected }})
	seed := Peer{Key: key(1), Flags: FlagSeed}
	configured := Peer{Key: key(2), Addresses: []Address{{Addr: addr(a1), Source: Config}}}
	reached, stale := FromClaim(claim(key(5), 1, a1), Discovery), FromClaim(claim(key(6), 1, a1), Discovery)
	for _, p := range []Peer{seed, configured, {Key: key(4)}, reached, stale} {
		add(t, s, begin, p)
	}
	s.Ban(begin, key(3), begin.Add(time.Hour), "unknown")
	s.Seen(begin, reached.ID, addr(a1), 0)
	s.Seen(begin.Add(-ReachedWithin), stale.ID, addr(a1), 0)
	for i := range uint64(2000) {
		at := begin.Add(time.Duration(i) * time.Millisecond)
		add(t, s, at, FromClaim(claim(key(1000+i), 1, a1), AnotherPeer))
		if n := s.View().Len(); n > limit {
			t.Fatalf("got %d peers, want at most %d", n, limit)
		}
		if i == 500 {
			if _, ok := s.View().ByKey(key(1000)); ok {
				t.Error("got the oldest peer never reached, want it gone first")
			}
			if _, ok := s.View().ByKey(key(1500)); !ok {
				t.Error("got the newest peer gone, want it kept")
			}
		}
	}
	for i := range uint64(5) {
		if _, ok := s.View().ByKey(key(1 + i)); !ok {
			t.Errorf("got peer %d lost to the flood, want it kept", 1+i)
		}
	}
	if _, ok := s.View().ByKey(key(6)); !ok {
		t.Error("got a peer reached long ago lost, want the never reached to go before it")
	}
	if n := s.View().Len(); n < limit*9/10 {
		t.Errorf("got %d peers, want the store nearly full", n)
	}
}

// conforms: V 31
func TestFullStoreSaysSo(t *testing.T) {
	s := open(t, kv.Memory(), Options{MaxPeers: 10})
	for i := range uint64(10) {
		add(t, s, begin, Peer{Key: key(i), Flags: FlagSeed})
	}
	if _, err := s.Add(begin, Peer{Key: key(100)}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	add(t, s, begin, Peer{Key: key(1)}) // known, and no seed any more
	if _, err := s.Add(begin.Add(time.Second), Peer{Key: key(100)}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull until it is time to look again", err)
	}
	add(t, s, begin.Add(retryPruning), Peer{Key: key(100)})
	if _, ok := s.View().ByKey(key(1)); ok || s.View().Len() != 10 {
		t.Errorf("got %d peers, want the one that may go replaced", s.View().Len())
	}
}

// conforms: V 31
func TestReachedPeersStayForADay(t *testing.T) {
	s := open(t, kv.Memory(), Options{MaxPeers: 20})
	for i := range uint64(18) {
		add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery))
		s.Seen(begin.Add(time.Duration(i)*time.Second), key(i).NodeID(), addr(a1), 0)
	}
	add(t, s, begin.Add(-time.Hour), FromClaim(claim(key(18), 1, a1), Discovery)) // the oldest, never reached
	add(t, s, begin, Peer{Key: key(19)})                                          // of no use
	at := begin.Add(time.Minute)
	for i, gone := range []uint64{19, 18} {
		add(t, s, at, Peer{Key: key(100 + uint64(i)), Flags: FlagSeed})
		if _, ok := s.View().ByKey(key(gone)); ok || s.View().Len() != 20 {
			t.Errorf("got %d peers with number %d among them, want it gone", s.View().Len(), gone)
		}
	}
	if _, err := s.Add(at, Peer{Key: key(200)}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull: everybody was reached today", err)
	}
	at = begin.Add(ReachedWithin + time.Second)
	add(t, s, at, Peer{Key: key(200), Flags: FlagSeed})
	if _, ok := s.View().ByKey(key(0)); ok {
		t.Error("got the peer reached longest ago kept, want it gone after a day")
	}
	if _, ok := s.View().ByKey(key(17)); !ok {
		t.Error("got the peer reached last gone, want it kept")
	}
}

// conforms: V 31
func TestFloodOfBansIsBounded(t *testing.T) {
	const limit = 500
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	for i := range uint64(100) {
		add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery))
	}
	for i := range uint64(5000) {
		s.Ban(begin, key(10_000+i), begin.Add(time.Hour+time.Duration(i)*time.Second), "forged")
	}
	if n := s.space.bans; n > limit/5+1 || n < limit/5-limit/100 {
		t.Errorf("got %d bans of unknown keys, want about a fifth of %d", n, limit)
	}
	if _, _, ok := s.View().Banned(key(14_999).NodeID(), begin); !ok {
		t.Error("got the longest ban lost, want those that end first to go")
	}
	for i := range uint64(100) {
		if _, ok := s.View().ByKey(key(i)); !ok {
			t.Fatalf("got peer %d lost to bans of unknown keys, want it kept", i)
		}
	}
	for i := range uint64(limit/5 + 1) {
		s.Ban(begin.Add(240*time.Hour), key(30_000+i), begin.Add(241*time.Hour), "forged")
	}
	if _, ok := s.View().ByKey(key(14_999)); ok {
		t.Error("got a ban that is over, want it gone when room is made")
	}
	count := 0
	for p := range s.View().All() {
		if condemned(&p) {
			count++
		}
	}
	if count != s.space.bans {
		t.Errorf("got %d counted, want %d as there are", s.space.bans, count)
	}
}

// TestPruneKeepsTheLimit opens a store with a lower limit than it was filled
// under.
//
// conforms: V 31
func TestPruneKeepsTheLimit(t *testing.T) {
	db := kv.Memory()
	s := open(t, db, Options{})
	for i := range uint64(100) {
		add(t, s, begin.Add(time.Duration(i)*time.Second), FromClaim(claim(key(i), 1, a1), Discovery))
	}
	s.Seen(begin, key(0).NodeID(), addr(a1), 0)
	s.BanNode(begin, key(200).NodeID(), begin.Add(time.Minute), "short")
	if removed, corrected := s.Prune(begin.Add(2 * time.Minute)); removed != 0 || corrected != 0 {
		t.Errorf("below the limit: got %d removed, %d corrected, want a ban that has just ended kept", removed, corrected)
	}
	if removed, corrected := s.Prune(begin.Add(time.Minute + banKept)); removed != 1 || corrected != 0 {
		t.Errorf("below the limit: got %d removed, %d corrected, want only the ban that is long over", removed, corrected)
	}
	commit(t, s)
	s = open(t, db, Options{MaxPeers: 40})
	if removed, _ := s.Prune(begin.Add(2 * time.Minute)); removed != 60 || s.View().Len() != 40 {
		t.Errorf("got %d removed and %d left, want 60 and 40", removed, s.View().Len())
	}
	get(t, s, key(0).NodeID())  // reached, so it stays
	get(t, s, key(99).NodeID()) // the newest of those never reached
	if _, ok := s.View().Get(key(1).NodeID()); ok {
		t.Error("got the oldest peer never reached, want it removed")
	}
}

// TestClockThatJumps has the clock a year ahead for a while: afterwards what was
// noted then protects nobody for a year, and forward jumps remove nobody who was
// not to go.
func TestClockThatJumps(t *testing.T) {
	s := open(t, kv.Memory(), Options{MaxPeers: 10})
	ahead := begin.Add(365 * day)
	add(t, s, begin, FromClaim(claim(key(3), 1, a1), Discovery))
	p := add(t, s, ahead, FromClaim(claim(key(1), 1, a1, a2), Discovery))
	s.Seen(ahead, p.ID, addr(a1), time.Millisecond)
	s.DialFailed(ahead, p.ID, addr(a2), "refused")
	if got := get(t, s, p.ID); !got.Active(begin) {
		t.Errorf("got %+v, want it active: a time ahead counts as now", got)
	}
	removed, corrected := s.Prune(begin)
	got := get(t, s, p.ID)
	if removed != 0 || corrected != 1 || !got.AddedAt.Equal(begin) || !got.LastSeen().Equal(begin) || got.Addresses[1].LastAttempted.After(begin) {
		t.Errorf("got %+v, %d removed and %d corrected, want its times now", got, removed, corrected)
	}
	if _, corrected := s.Prune(begin); corrected != 0 {
		t.Errorf("got %d corrected the second time, want none", corrected)
	}
	s.BanNode(begin, key(9).NodeID(), begin.Add(time.Hour), "bad")
	if s.Prune(begin.Add(5 * day)); len(s.index.all()) != 3 {
		t.Errorf("a jump some days ahead: got %d records, want the ban kept", len(s.index.all()))
	}
	if _, _, ok := s.View().Banned(key(9).NodeID(), begin); !ok {
		t.Error("after a jump some days ahead: got no ban, want it held")
	}
	s.Unban(key(9).NodeID())
	if removed, _ := s.Prune(ahead); removed != 0 {
		t.Errorf("a jump ahead: got %d removed below the limit, want none", removed)
	}
	s.Ban(begin, key(2), begin.Add(time.Hour), "bad")
	if _, _, ok := s.View().Banned(key(2).NodeID(), begin.Add(-day)); !ok {
		t.Error("a jump back: got no ban, want it held")
	}
}

// TestClockThatIsNotSetYet starts in 1970, as a machine does that has yet to
// learn the time: the store keeps what it knows.
func TestClockThatIsNotSetYet(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	for i := range uint64(3) {
		p := add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery))
		s.Seen(begin, p.ID, addr(a1), time.Millisecond)
	}
	s.BanNode(begin, key(9).NodeID(), begin.Add(time.Hour), "bad")
	if removed, corrected := s.Prune(time.Unix(10, 0)); removed != 0 || corrected != 0 {
		t.Errorf("got %d removed and %d corrected, want nothing touched", removed, corrected)
	}
	for i := range uint64(3) {
		if got := get(t, s, key(i).NodeID()); !got.AddedAt.Equal(begin) || !got.LastSeen().Equal(begin) {
			t.Errorf("got peer %d added %v and seen %v, want both %v", i, got.AddedAt, got.LastSeen(), begin)
		}
	}
	if _, _, ok := s.View().Banned(key(9).NodeID(), begin); !ok {
		t.Error("got no ban, want it held")
	}
}
