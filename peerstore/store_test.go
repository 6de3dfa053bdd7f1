package peerstore

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

func mustBytes(t *testing.T, b []byte) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddrBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAddRefuses(t *testing.T) {
	s := open(t, kv.Memory(), Options{Self: key(1).NodeID()})
	for name, c := range map[string]struct {
		p    Peer
		want error
	}{
		"no key":      {Peer{ID: key(2).NodeID()}, ErrBadPeer},
		"other's id":  {Peer{Key: key(2), ID: key(3).NodeID()}, ErrBadPeer},
		"our own key": {Peer{Key: key(1)}, ErrSelf},
	} {
		if _, err := s.Add(begin, c.p); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if s.View().Len() != 0 || s.Batch() != nil {
		t.Error("got something stored, want nothing")
	}
}

// conforms: comms 129
func TestBanIsNeverShortened(t *testing.T) {
	db := kv.Memory()
	s := open(t, db, Options{})
	k := key(1)
	add(t, s, begin, FromClaim(claim(k, 1, a1), PeerConnection))
	s.Ban(begin, k, begin.Add(2*time.Hour), "bad claim")
	s.Ban(begin, k, begin.Add(2*time.Minute), "slow")
	s.BanNode(begin, k.NodeID(), begin.Add(time.Minute), "slow")
	add(t, s, begin, FromClaim(claim(k, 2, a1), PeerConnection))
	until, reason, ok := s.View().Banned(k.NodeID(), begin.Add(2*time.Hour-time.Second))
	if !ok || !until.Equal(begin.Add(2*time.Hour)) || reason != "bad claim" {
		t.Errorf("got %v %q %v, want the longer ban with its reason", until, reason, ok)
	}
	if _, _, ok := s.View().Banned(k.NodeID(), begin.Add(2*time.Hour)); ok {
		t.Error("got a ban after its end, want none")
	}
	s.Ban(begin, k, begin.Add(3*time.Hour), "again\n"+strings.Repeat("x", 400))
	if until, reason, _ := s.View().Banned(k.NodeID(), begin); !until.Equal(begin.Add(3*time.Hour)) || !strings.HasPrefix(reason, "again x") || len(reason) != 256 {
		t.Errorf("got %v %q, want the longer ban, its reason printable and cut", until, reason)
	}
	if !s.Unban(k.NodeID()) || s.Unban(k.NodeID()) || s.Unban(key(2).NodeID()) {
		t.Error("got the wrong answer from Unban, want true once")
	}
	if _, _, ok := s.View().Banned(k.NodeID(), begin); ok {
		t.Error("got a ban after Unban, want none")
	}
	s.Ban(begin, k, time.Unix(1<<60, 0), "for ever")
	commit(t, s)
	if _, _, ok := open(t, db, Options{}).View().Banned(k.NodeID(), forever.Add(-time.Hour)); !ok {
		t.Error("got no ban in the far future, want an endless one to stay")
	}
}

// conforms: V 31
func TestUnknownKeyIsBanned(t *testing.T) {
	db := kv.Memory()
	s := open(t, db, Options{})
	byKey, byID := key(1), key(2)
	s.Ban(begin, byKey, begin.Add(time.Hour), "forged claim")
	s.BanNode(begin, byID.NodeID(), begin.Add(time.Hour), "asked for")
	commit(t, s)
	s = open(t, db, Options{})
	for _, k := range []identity.PublicKey{byKey, byID} {
		if _, _, ok := s.View().Banned(k.NodeID(), begin); !ok {
			t.Errorf("got %s not banned after reopening, want banned", k.NodeID())
		}
	}
	if p, ok := s.View().ByKey(byKey); !ok || p.Key != byKey {
		t.Errorf("got %+v, want the banned key known", p)
	}
	if _, ok := s.View().ByKey(byID); ok {
		t.Error("got a record by a key that is not known, want none")
	}
	got := add(t, s, begin, FromClaim(claim(byID, 1, a1), PeerConnection))
	if got.Key != byID || !got.Banned(begin) || got.BanReason != "asked for" {
		t.Errorf("got %+v, want the record filled in and still banned", got)
	}
}

// failingDB refuses writes while err is set.
type failingDB struct {
	kv.DB
	err     error
	applied int
}

func (f *failingDB) Apply(b *kv.Batch, sync bool) error {
	if f.err != nil {
		return f.err
	}
	f.applied++
	return f.DB.Apply(b, sync)
}

func (f *failingDB) Client() kv.Client { return f }

// conforms: V 31
func TestBanHoldsWhenItsWriteFails(t *testing.T) {
	db := &failingDB{DB: kv.Memory(), err: errors.New("disk full")}
	s := open(t, db, Options{})
	k := key(1)
	s.Ban(begin, k, begin.Add(time.Hour), "bad")
	for range 2 {
		b := s.Batch()
		if b == nil {
			t.Fatal("got no batch, want the change that is not written yet")
		}
		if s.Batch() != nil {
			t.Error("got a second batch of the same change, want none while one is open")
		}
		if err := b.Commit(true); !errors.Is(err, db.err) {
			t.Fatalf("got %v, want the store's error", err)
		}
		if _, _, ok := s.View().Banned(k.NodeID(), begin); !ok {
			t.Error("got no ban after a failed write, want it held")
		}
	}
	db.err = nil
	commit(t, s)
	if s.Pending() != 0 || s.Batch() != nil {
		t.Errorf("got %d pending, want none", s.Pending())
	}
	if _, _, ok := open(t, db, Options{}).View().Banned(k.NodeID(), begin); !ok {
		t.Error("got no ban after reopening, want it written in the end")
	}
}

func TestChangesDuringACommitAreNotLost(t *testing.T) {
	db := &failingDB{DB: kv.Memory()}
	s := open(t, db, Options{})
	k := key(1)
	add(t, s, begin, Peer{Key: k, Features: 3})
	first := s.Batch()
	s.Ban(begin, k, begin.Add(time.Hour), "bad") // after the batch was made
	second := s.Batch()
	if second == nil || second.Len() != 1 {
		t.Fatalf("got %v, want a batch with the ban", second)
	}
	add(t, s, begin, Peer{Key: key(2)})
	if err := second.Commit(true); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(false); err != nil { // late: must not bring the old record back
		t.Fatal(err)
	}
	if p, _ := open(t, db, Options{}).View().Get(k.NodeID()); !p.Banned(begin) {
		t.Errorf("got %+v on the disk, want the ban not overwritten", p)
	}
	if s.Pending() != 1 {
		t.Errorf("got %d pending, want the peer of no batch", s.Pending())
	}

	// A record changed again after its batch was made waits for the next one.
	s.Ban(begin, key(2), begin.Add(time.Hour), "bad")
	third := s.Batch()
	s.Ban(begin, key(2), begin.Add(2*time.Hour), "worse")
	if err := third.Commit(false); err != nil {
		t.Fatal(err)
	}
	if b := s.Batch(); b == nil {
		t.Error("got no batch, want the later change: it is to be synced")
	}
	s.Rewind() // the batch above is lost with its task
	b := s.Batch()
	if b == nil || b.Len() != 1 {
		t.Fatalf("got %v after Rewind, want what was never committed", b)
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	if s.Batch() != nil || s.Pending() != 0 {
		t.Error("got something pending, want nothing")
	}
}

func TestReopenedStoreIsTheSame(t *testing.T) {
	dir := t.TempDir()
	db, err := kv.OpenPebble(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, db, Options{})
	for i := range uint64(50) {
		add(t, s, begin.Add(time.Duration(i)*time.Second), FromClaim(claim(key(i), int64(i), a1, a2), Discovery))
	}
	s.Seen(begin, key(3).NodeID(), addr(a2), time.Second)
	s.DialFailed(begin, key(4).NodeID(), addr(a2), "refused")
	s.Ban(begin, key(5), begin.Add(time.Hour), "bad")
	commit(t, s)
	s.Forget(key(6).NodeID())
	if s.Forget(key(6).NodeID()) {
		t.Error("got true for a peer that is gone, want false")
	}
	commit(t, s)
	want := dump(s)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = kv.OpenPebble(dir); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s = open(t, db, Options{})
	if got := dump(s); !slices.Equal(got, want) || len(got) != 49 {
		t.Errorf("got %d records after reopening, want the %d written", len(got), len(want))
	}
	if s.Damaged() != 0 || s.Batch() != nil {
		t.Errorf("got %d damaged, want none and nothing to write", s.Damaged())
	}
}

// dump returns every record in its encoding.
func dump(s *Store) (list []string) {
	for p := range s.View().All() {
		list = append(list, string(appendRecord(nil, &p)))
	}
	return list
}

func TestDamagedRecordsAreCountedAndLeft(t *testing.T) {
	db := kv.Memory()
	s := open(t, db, Options{})
	add(t, s, begin, FromClaim(claim(key(1), 1, a1), Discovery))
	add(t, s, begin, FromClaim(claim(key(2), 1, a1), Discovery))
	commit(t, s)
	var b kv.Batch
	b.Set(recordKey(key(1).NodeID()), []byte{recordVersion, 1, 2, 3})
	b.Set([]byte("pshort"), nil)
	if err := db.Apply(&b, true); err != nil {
		t.Fatal(err)
	}
	s = open(t, db, Options{})
	if s.Damaged() != 2 || s.View().Len() != 1 {
		t.Errorf("got %d damaged and %d good, want 2 and 1", s.Damaged(), s.View().Len())
	}
	if got, err := db.Get(recordKey(key(1).NodeID())); err != nil || len(got) != 4 {
		t.Errorf("got %x, %v, want the damaged record left as it is", got, err)
	}
}

// conforms: comms 128
func TestClosestIsOrderedByDistance(t *testing.T) {
	for _, n := range []int{0, 1, 5, 300, 3000} {
		s := open(t, kv.Memory(), Options{})
		var all []identity.NodeID
		for i := range n {
			p := Peer{Key: key(uint64(i)), Features: identity.Features(i % 4)}
			add(t, s, begin, p)
			all = append(all, p.Key.NodeID())
		}
		r := rand.New(rand.NewPCG(uint64(n), 2))
		for range 50 {
			target := key(r.Uint64()).NodeID()
			if n > 0 && r.IntN(2) == 0 {
				target = all[r.IntN(n)]
			}
			slices.SortFunc(all, func(a, b identity.NodeID) int { return target.Distance(a).Cmp(target.Distance(b)) })
			want := r.IntN(60)
			wantIDs(t, s.View().Closest(target, want, nil), all[:min(want, n)])
			var nodes []identity.NodeID
			for _, id := range all {
				if get(t, s, id).Features.IsNode() && len(nodes) < want {
					nodes = append(nodes, id)
				}
			}
			wantIDs(t, s.View().Closest(target, want, func(p Peer) bool { return p.Features.IsNode() }), nodes)
		}
	}
}

// TestClosestAmongNearTwins has ids that differ only in their last bits, below
// the first machine word.
func TestClosestAmongNearTwins(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	var all []identity.NodeID
	for i := range 500 {
		id := identity.NodeID{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, byte(i >> 8), byte(i)}
		s.BanNode(begin, id, begin.Add(time.Hour), "")
		all = append(all, id)
	}
	target := identity.NodeID{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 0x55}
	slices.SortFunc(all, func(a, b identity.NodeID) int { return target.Distance(a).Cmp(target.Distance(b)) })
	wantIDs(t, s.View().Closest(target, 400, nil), all[:400])
	wantIDs(t, s.View().Closest(target, math.MaxInt, nil), all)
	wantIDs(t, s.View().Closest(target, -1, nil), nil)
}

func wantIDs(t *testing.T, got []Peer, want []identity.NodeID) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d peers, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].ID != want[i] {
			t.Fatalf("got %s at place %d, want %s", got[i].ID, i, want[i])
		}
	}
}

func TestClosestReachesTheFarthest(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	far := identity.NodeID{0xff, 1}
	s.BanNode(begin, far, begin.Add(time.Hour), "")
	wantIDs(t, s.View().Closest(identity.NodeID{}, 5, nil), []identity.NodeID{far})
}

// conforms: comms 134
func TestThreshold(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	v := s.View()
	target := key(100).NodeID()
	for i := range uint64(5) {
		add(t, s, begin, Peer{Key: key(i)})
	}
	for n, want := range map[int]identity.Distance{
		0: identity.MaxDistance, 6: identity.MaxDistance,
		5: target.Distance(v.Closest(target, 5, nil)[4].ID), 1: target.Distance(v.Closest(target, 1, nil)[0].ID),
	} {
		if got := Threshold(v, target, n, nil); got != want {
			t.Errorf("n = %d: got %x, want %x", n, got.Bytes(), want.Bytes())
		}
	}
}

func TestAllIsOrderedAndMayWrite(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	for i := range uint64(300) {
		add(t, s, begin, Peer{Key: key(i)})
	}
	var last identity.NodeID
	n := 0
	for p := range s.View().All() {
		if n++; last.Compare(p.ID) >= 0 {
			t.Fatalf("got %s after %s, want ascending ids", p.ID, last)
		}
		last = p.ID
		s.Forget(p.ID) // the loop holds no lock
	}
	if n != 300 || s.View().Len() != 0 {
		t.Errorf("got %d peers and %d left, want 300 and 0", n, s.View().Len())
	}
}

// reopenedDB loses what was applied without sync, as a store does whose disk has
// failed, and says so once.
type reopenedDB struct {
	kv.DB
	lose func()
}

func (d *reopenedDB) Apply(b *kv.Batch, sync bool) error {
	if lose := d.lose; lose != nil {
		d.lose = nil
		lose()
		return kv.ErrReopened
	}
	return d.DB.Apply(b, sync)
}

func (d *reopenedDB) Client() kv.Client { return d }

// TestWhatTheDiskLostIsWrittenAgain: records that were committed without sync
// go with the next batches after the store was opened anew.
func TestWhatTheDiskLostIsWrittenAgain(t *testing.T) {
	db := &reopenedDB{DB: kv.Memory()}
	s := open(t, db, Options{})
	for i := range uint64(20) {
		add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery))
	}
	commit(t, s)
	db.lose = func() {
		var b kv.Batch
		b.Delete(recordKey(key(1).NodeID()))
		b.Set(recordKey(key(2).NodeID()), appendRecord(nil, &Peer{Key: key(2), ID: key(2).NodeID()}))
		b.Set(recordKey(key(90).NodeID()), appendRecord(nil, &Peer{Key: key(90), ID: key(90).NodeID()}))
		b.Set(recordKey(key(91).NodeID()), []byte("damaged before"))
		if err := db.DB.Apply(&b, true); err != nil {
			t.Fatal(err)
		}
	}
	s.Ban(begin, key(3), begin.Add(time.Hour), "bad")
	commit(t, s) // of the ban, which is on the disk when it returns
	if p, _ := open(t, db, Options{}).View().Get(key(3).NodeID()); !p.Banned(begin) {
		t.Error("got no ban on the disk, want what was acknowledged")
	}
	if s.Pending() != 0 || s.Unsynced() {
		t.Errorf("got %d pending and unsynced %v, want the two lost and the one that is back on the disk too", s.Pending(), s.Unsynced())
	}
	again := open(t, db, Options{})
	if got, want := dump(again), dump(s); !slices.Equal(got, want) || again.Damaged() != 1 {
		t.Errorf("got %d records and %d damaged on the disk, want %d as in memory, and 1 left alone", len(got), again.Damaged(), len(want))
	}
}

// TestManyRecordsAreLoaded has more of them than are decoded together.
func TestManyRecordsAreLoaded(t *testing.T) {
	db := kv.Memory()
	n := 2*partSize + 10
	s := open(t, db, Options{})
	for i := range n {
		add(t, s, begin, FromClaim(claim(key(uint64(i)), 1, addrN(i).String()), Discovery))
	}
	commit(t, s)
	if got, want := dump(open(t, db, Options{})), dump(s); !slices.Equal(got, want) || len(got) != n {
		t.Errorf("got %d records after opening, want the same %d", len(got), n)
	}
}
