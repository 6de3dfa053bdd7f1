package peerstore

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// The tests of this file are what other tests of the package leave of the
// reference's tests of its peer store, as far as they mean something here.

// TestWritesAndReadsAtOnce: one writer and several readers, who always see whole
// records and never a ban that is gone.
func TestWritesAndReadsAtOnce(t *testing.T) {
	s := open(t, kv.Memory(), Options{MaxPeers: 300})
	done := make(chan struct{})
	var readers sync.WaitGroup
	s.Ban(begin, key(0), forever, "stays")
	for n := range 3 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 7))
			v := s.View()
			for {
				select {
				case <-done:
					return
				default:
				}
				k := key(uint64(r.IntN(400)))
				if p, ok := v.ByKey(k); ok && (p.Key != k || p.ID != k.NodeID() || len(p.Addresses) > 2) {
					t.Errorf("got %+v, want a whole record of %s", p, k)
				}
				if _, _, ok := v.Banned(key(0).NodeID(), begin); !ok {
					t.Error("got no ban, want it at any time")
				}
				_ = v.Closest(k.NodeID(), 8, Query{Now: begin, Usable: true}.Match)
				_ = Random(v, Query{}, 3, r)
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		k := key(uint64(1 + r.IntN(399)))
		now := begin.Add(time.Duration(i) * time.Second)
		switch r.IntN(5) {
		case 0:
			s.Forget(k.NodeID())
		case 1:
			s.Seen(now, k.NodeID(), addr(a1), time.Millisecond)
		case 2:
			if b := s.Batch(); b != nil {
				if err := b.Commit(false); err != nil {
					t.Error(err)
				}
			}
		default:
			add(t, s, now, FromClaim(claim(k, int64(i), a1, a2), Discovery))
		}
	}
	close(done)
	readers.Wait()
}

// TestAddressesMayBeShared by different peers.
func TestAddressesMayBeShared(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	for i := range uint64(3) {
		add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery))
	}
	s.DialFailed(begin, key(0).NodeID(), addr(a1), "refused")
	for i := range uint64(3) {
		p := get(t, s, key(i).NodeID())
		wantTexts(t, "shared", p, a1)
		if p.Offline() != (i == 0) {
			t.Errorf("peer %d: got offline %v, want only the one whose dial failed", i, p.Offline())
		}
	}
}

// TestPeersByTheKindOfTheirAddresses chooses by transport, and external ones.
func TestPeersByTheKindOfTheirAddresses(t *testing.T) {
	const onion = "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234"
	s := open(t, kv.Memory(), Options{TestAddresses: true})
	for i, a := range []string{a1, "/ip4/192.168.0.1/tcp/1", onion, "/dns4/example.com/tcp/1"} {
		add(t, s, begin, FromClaim(claim(key(uint64(i)), 1, a), Discovery))
	}
	having := func(ok func(ma.Multiaddr) bool) Query {
		return Query{Where: func(p Peer) bool {
			return slices.ContainsFunc(p.Addresses, func(a Address) bool { return ok(a.Addr) })
		}}
	}
	if got := Select(s.View(), having(func(a ma.Multiaddr) bool { return strings.HasPrefix(a.String(), "/onion3/") }), -1); len(got) != 1 || got[0].Key != key(2) {
		t.Errorf("onion: got %d peers, want one", len(got))
	}
	if got := Select(s.View(), having(address.External), -1); len(got) != 3 {
		t.Errorf("external: got %d peers, want all but the one with a private address", len(got))
	}
}

// TestEndlessBansStay over a reopening; those that are over do not count.
//
// conforms: comms 129
func TestEndlessBansStay(t *testing.T) {
	db := kv.Memory()
	s := open(t, db, Options{})
	s.Ban(begin, key(1), begin.Add(math.MaxInt64), "for ever\x00"+strings.Repeat("x", 400))
	s.Ban(begin, key(2), time.Date(200_000, time.January, 1, 0, 0, 0, 0, time.UTC), "longer than the store can say")
	s.Ban(begin, key(3), begin.Add(time.Hour), "short")
	add(t, s, begin, Peer{Key: key(1), BannedUntil: begin.Add(time.Second)}) // of a handshake: never shortens
	commit(t, s)
	v := open(t, db, Options{}).View()
	late := begin.Add(200 * 365 * day)
	for i, want := range []bool{false, true, true, false} {
		if _, reason, ok := v.Banned(key(uint64(i)).NodeID(), late); ok != want || len(reason) > 256 || strings.ContainsRune(reason, 0) {
			t.Errorf("key %d after two hundred years: got banned %v for %q, want %v and a printable reason", i, ok, reason, want)
		}
	}
}

// TestNumbersNeverOverflow has the greatest durations and counts.
func TestNumbersNeverOverflow(t *testing.T) {
	var a Average
	for range 200 {
		a = a.with(math.MaxInt64)
	}
	if a.Mean != math.MaxInt64 || a.Count != 100 {
		t.Errorf("got %+v, want the greatest mean of 100", a)
	}
	if a = a.with(-time.Hour); a.Mean < 0 {
		t.Errorf("got mean %v, want none below 0", a.Mean)
	}
	s := open(t, kv.Memory(), Options{})
	p := FromClaim(claim(key(1), math.MaxInt64-begin.Unix(), a1), Discovery)
	p.Addresses[0].Attempts = math.MaxInt
	p.Addresses[0].Latency = Average{math.MaxInt64, math.MaxInt}
	p.Addresses[0].LastSeen = time.Unix(1<<55, 0)
	p.AddedAt = time.Unix(-1<<55, 0)
	add(t, s, begin, p)
	s.DialTook(begin, p.ID, addr(a1), math.MaxInt64)
	want := get(t, s, p.ID)
	if score, _ := want.Addresses[0].Score(begin); score < 0 || score > 1000 {
		t.Errorf("got score %d, want 0 to 1000", score)
	}
	record := appendRecord(nil, &want)
	if got, err := decodeRecord(record, p.ID, newShared()); err != nil || string(appendRecord(nil, got)) != string(record) {
		t.Errorf("got %+v, %v, want the same record from the disk", got, err)
	}
}

// idleDB fails the test when it is used.
type idleDB struct{ t *testing.T }

func (d idleDB) use() error {
	d.t.Helper()
	d.t.Error("got a call of the disk, want none outside Open and Commit")
	return kv.ErrClosed
}

func (d idleDB) Get([]byte) ([]byte, error)                            { return nil, d.use() }
func (d idleDB) Apply(*kv.Batch, bool) error                           { return d.use() }
func (d idleDB) Close() error                                          { return d.use() }
func (d idleDB) Scan([]byte) (iter.Seq2[[]byte, []byte], func() error) { return d.ScanFrom(nil, nil) }

func (d idleDB) ScanFrom(_, _ []byte) (iter.Seq2[[]byte, []byte], func() error) {
	return func(func(k, v []byte) bool) {}, d.use
}

// TestNothingWaitsForTheDisk calls every method of the store but Open and
// Commit.
func TestNothingWaitsForTheDisk(t *testing.T) {
	s := open(t, kv.Memory(), Options{MaxPeers: 5})
	s.db = idleDB{t}
	for i := range uint64(20) { // and so makes room
		if _, err := s.Add(begin, FromClaim(claim(key(i), 1, a1), Discovery)); err != nil {
			t.Fatal(err)
		}
	}
	id := key(19).NodeID()
	s.Ban(begin, key(19), forever, "x")
	s.BanNode(begin, key(30).NodeID(), forever, "x")
	s.Unban(id)
	s.Seen(begin, id, addr(a1), time.Second)
	s.DialTook(begin, id, addr(a1), time.Second)
	s.DialFailed(begin, id, addr(a1), "x")
	if _, _, err := s.Import(begin, signed(t, 1, a1)); err != nil {
		t.Error(err)
	}
	s.Prune(begin)
	s.Rewind()
	s.Forget(id)
	if s.Batch().Len() == 0 || s.Pending() == 0 {
		t.Error("got nothing to write, want the changes")
	}
	v := s.View()
	_, _ = v.Get(id)
	_, _ = v.ByKey(key(19))
	_, _, _ = v.Banned(id, begin)
	_ = v.Closest(id, 20, nil)
	_ = Threshold(v, id, 3, nil)
	_ = Select(v, Query{}, -1)
}
