package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/store"
)

// TestQuotas floods a store from one peer, one group and one publisher: with many small
// records, and with large ones.
//
// conforms: kad 51
func TestQuotas(t *testing.T) {
	const kib8 = 8192 - store.Overhead
	for name, c := range map[string]struct {
		offer func(i int) store.Offer
		want  int
	}{
		"one peer":        {func(i int) store.Offer { return store.Offer{Record: immutable(0, i, 1), Peer: "a"} }, 1024},
		"one peer, large": {func(i int) store.Offer { return store.Offer{Record: immutable(0, i, kib8), Peer: "a"} }, 512},
		"one group": {func(i int) store.Offer {
			return store.Offer{Record: immutable(0, i, 1), Peer: fmt.Sprint(i), Group: "g"}
		}, 4096},
		"one group, large": {func(i int) store.Offer {
			return store.Offer{Record: immutable(0, i, kib8), Peer: fmt.Sprint(i), Group: "g"}
		}, 2048},
		"one publisher": {func(i int) store.Offer {
			return store.Offer{Record: mutable(t, 1, fmt.Sprint(i), 1, time.Hour, "x"), Peer: fmt.Sprint(i)}
		}, 256},
		"one publisher, large": {func(i int) store.Offer {
			return store.Offer{Record: mutable(t, 1, fmt.Sprintf("%04d", i), 1, time.Hour, string(make([]byte, kib8-4-32-64))), Peer: fmt.Sprint(i)}
		}, 128},
		"anybody, farther": {func(i int) store.Offer { return store.Offer{Record: immutable(0, i, 1), Peer: fmt.Sprint(i)} }, 20_000},
		"anybody, large":   {func(i int) store.Offer { return store.Offer{Record: immutable(0, i, kib8), Peer: fmt.Sprint(i)} }, 2048},
	} {
		t.Run(name, func(t *testing.T) {
			s := store.New(kad.ID{}, store.DefaultLimits(kad.Native))
			for i := range c.want {
				put(t, s, c.offer(i), 0, kad.OK)
			}
			for i := range 10 {
				put(t, s, c.offer(c.want+i), 0, kad.Quota)
			}
			if records, _, bytes := s.Size(); records != c.want || bytes > 16<<20 {
				t.Errorf("got %d records of %d bytes, want %d", records, bytes, c.want)
			}
			if out := put(t, s, c.offer(0), time.Second, kad.OK); out.Changed {
				t.Error("got the first record stored anew, want it prolonged")
			}
			if name != "anybody, farther" && name != "anybody, large" {
				put(t, s, store.Offer{Record: immutable(3, 1, 100), Peer: "another"}, 0, kad.OK)
			}
		})
	}
}

// TestWhoMakesWay fills a store of five records, and offers others: cached copies make way
// first, then the farthest, and never a nearer record for a farther one.
//
// conforms: kad 45, 51
func TestWhoMakesWay(t *testing.T) {
	l := store.DefaultLimits(kad.Native)
	l.Total.Records = 5
	s := store.New(kad.ID{}, l)
	for i, o := range []store.Offer{
		{Record: immutable(10, 0, 5)},
		{Record: immutable(20, 1, 5)},
		{Record: immutable(30, 2, 5)},
		{Record: immutable(40, 3, 5), Cached: true},
		{Record: immutable(5, 4, 5), Cached: true},
	} {
		o.Peer = fmt.Sprint(i)
		put(t, s, o, 0, kad.OK)
	}
	type place struct{ prefix, number int }
	refused := place{-1, 0}
	for _, c := range []struct {
		at     place
		cached bool
		gone   place
	}{
		{place{4, 10}, true, refused},        // a copy that is farther than all copies
		{place{6, 11}, true, place{5, 4}},    // … nearer than one
		{place{1, 12}, false, place{6, 11}},  // the farthest record of all: copies first
		{place{2, 13}, false, place{40, 3}},  // even a copy that is nearer
		{place{1, 9}, false, place{1, 12}},   // a little nearer than the farthest
		{place{0, 15}, false, refused},       // farther than all
		{place{200, 17}, true, refused},      // a copy takes no record's place, however near
		{place{200, 18}, false, place{1, 9}}, // the farthest
		{place{15, 19}, false, place{2, 13}},
		{place{25, 20}, false, place{10, 0}},
		{place{12, 21}, false, refused},
	} {
		out := s.Put(store.Offer{Record: immutable(c.at.prefix, c.at.number, 5), Cached: c.cached}, start, wall)
		if c.gone == refused {
			if out.Status != kad.Quota || out.Removed != nil {
				t.Errorf("%v: got %+v, want it refused", c.at, out)
			}
			continue
		}
		gone := immutable(c.gone.prefix, c.gone.number, 5).Key
		if out.Status != kad.OK || !slices.Equal(out.Removed, []kad.Key{gone}) {
			t.Fatalf("%v: got %v and %v removed, want %v", c.at, out.Status, out.Removed, c.gone)
		}
	}
}

// TestLargeRecordMakesSeveralGo removes as many as are needed, or none.
//
// conforms: kad 51
func TestLargeRecordMakesSeveralGo(t *testing.T) {
	l := store.DefaultLimits(kad.Native)
	l.Total.Bytes = 10 * 1000
	s := store.New(kad.ID{}, l)
	for i := range 10 {
		put(t, s, store.Offer{Record: immutable(i, i, 1000-store.Overhead)}, 0, kad.OK)
	}
	if out := put(t, s, store.Offer{Record: immutable(3, 0, 5000-store.Overhead)}, 0, kad.Quota); out.Removed != nil {
		t.Errorf("got %d removed for a record that is refused", len(out.Removed))
	}
	if records, _, bytes := s.Size(); records != 10 || bytes != 10_000 {
		t.Errorf("got %d records of %d bytes, want all", records, bytes)
	}
	out := put(t, s, store.Offer{Record: immutable(20, 0, 5000-store.Overhead)}, 0, kad.OK)
	var want []kad.Key
	for i := range 5 {
		want = append(want, immutable(i, i, 0).Key)
	}
	if !slices.Equal(out.Removed, want) {
		t.Errorf("got %v removed, want the five farthest", out.Removed)
	}
	put(t, s, store.Offer{Record: immutable(200, 0, 10_001-store.Overhead)}, 0, kad.Quota)
}

// model is a store without any index.
type model struct {
	l   store.Limits
	all map[kad.Key]*modelEntry
}

type modelEntry struct {
	o      store.Offer
	until  time.Time
	cached bool
}

func (e *modelEntry) size() int { return len(e.o.Record.Value) + store.Overhead }

func (m *model) sum(include func(*modelEntry) bool) (q store.Quota) {
	for _, e := range m.all {
		if include(e) {
			q.Records++
			q.Bytes += e.size()
		}
	}
	return q
}

func (m *model) put(o store.Offer, now time.Time) kad.Status {
	for key, e := range m.all {
		if !now.Before(e.until) {
			delete(m.all, key)
		}
	}
	until := now.Add(min(m.l.MaxLife, o.TTL))
	if old := m.all[o.Record.Key]; old != nil {
		if until.After(old.until) {
			old.until = until
		}
		old.cached = old.cached && o.Cached
		return kad.OK
	}
	e := &modelEntry{o, until, o.Cached}
	over := func(q, limit store.Quota) bool { return q.Records+1 > limit.Records || q.Bytes+e.size() > limit.Bytes }
	if over(m.sum(func(x *modelEntry) bool { return x.o.Peer == o.Peer }), m.l.Peer) ||
		over(m.sum(func(x *modelEntry) bool { return x.o.Group == o.Group }), m.l.Group) {
		return kad.Quota
	}
	var order []*modelEntry
	for _, x := range m.all {
		if x.cached && !o.Cached || x.cached == o.Cached && x.o.Record.Key.Compare(o.Record.Key) > 0 {
			order = append(order, x)
		}
	}
	slices.SortFunc(order, func(a, b *modelEntry) int {
		if a.cached != b.cached {
			return cmp.Compare(map[bool]int{true: 0, false: 1}[a.cached], map[bool]int{true: 0, false: 1}[b.cached])
		}
		return b.o.Record.Key.Compare(a.o.Record.Key) // the node's id is zero
	})
	total := m.sum(func(*modelEntry) bool { return true })
	n := 0
	for ; over(total, m.l.Total); n++ {
		if n == len(order) {
			return kad.Quota
		}
		total.Records--
		total.Bytes -= order[n].size()
	}
	for _, x := range order[:n] {
		delete(m.all, x.o.Record.Key)
	}
	m.all[o.Record.Key] = e
	return kad.OK
}

// TestModel compares the store with one that has no index, for random offers.
//
// conforms: kad 51
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := store.Limits{MaxLife: time.Hour, Total: store.Quota{Records: 30, Bytes: 30_000}, Publisher: store.Quota{Records: 1, Bytes: 1}, Peer: store.Quota{Records: 12, Bytes: 10_000}, Group: store.Quota{Records: 20, Bytes: 20_000}}
		s, m := store.New(kad.ID{}, l), &model{l, map[kad.Key]*modelEntry{}}
		now := start
		for step := range 2000 {
			now = now.Add(time.Duration(r.IntN(60)) * time.Second)
			o := store.Offer{
				Record: immutable(r.IntN(10), r.IntN(10), r.IntN(10)*300), TTL: time.Duration(1+r.IntN(120)) * time.Minute,
				Peer: fmt.Sprint("p", r.IntN(4)), Group: fmt.Sprint("g", r.IntN(3)), Cached: r.IntN(3) == 0,
			}
			want := m.put(o, now)
			if out := s.Put(o, now, wall); out.Status != want {
				t.Fatalf("seed %d, step %d: got %v, want %v", seed, step, out.Status, want)
			}
			all := m.sum(func(*modelEntry) bool { return true })
			cached := m.sum(func(e *modelEntry) bool { return e.cached })
			if records, copies, bytes := s.Size(); records != all.Records || bytes != all.Bytes || copies != cached.Records {
				t.Fatalf("seed %d, step %d: got %d records, %d copies, %d bytes, want %+v and %d", seed, step, records, copies, bytes, all, cached.Records)
			}
			for key, e := range m.all {
				if h, ok := s.Get(key, now, wall); !ok || h.Life != e.until.Sub(now) || h.Cached != e.cached {
					t.Fatalf("seed %d, step %d: got %+v and %t, want life %s, cached %t", seed, step, h, ok, e.until.Sub(now), e.cached)
				}
			}
		}
	}
}
