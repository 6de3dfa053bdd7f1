package values_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestQuotas floods a store from one peer, one group and one publisher: with many small
// records, and with large ones.
//
// conforms: kad 51
func TestQuotas(t *testing.T) {
	const kib8 = 8192 - values.Overhead
	for name, c := range map[string]struct {
		offer func(i int) values.Offer
		want  int
	}{
		"one peer":        {func(i int) values.Offer { return values.Offer{Record: immutable(0, i, 1), Peer: "a"} }, 1024},
		"one peer, large": {func(i int) values.Offer { return values.Offer{Record: immutable(0, i, kib8), Peer: "a"} }, 128},
		"one group": {func(i int) values.Offer {
			return values.Offer{Record: immutable(0, i, 1), Peer: fmt.Sprint(i), Group: "g"}
		}, 4096},
		"one group, large": {func(i int) values.Offer {
			return values.Offer{Record: immutable(0, i, kib8), Peer: fmt.Sprint(i), Group: "g"}
		}, 512},
		"one publisher": {func(i int) values.Offer {
			return values.Offer{Record: mutable(t, 1, fmt.Sprint(i), 1, time.Hour, "x"), Peer: fmt.Sprint(i)}
		}, 256},
		"one publisher, large": {func(i int) values.Offer {
			return values.Offer{Record: mutable(t, 1, fmt.Sprintf("%04d", i), 1, time.Hour, string(make([]byte, kib8-4-32-64))), Peer: fmt.Sprint(i)}
		}, 128},
		"anybody, farther": {func(i int) values.Offer { return values.Offer{Record: immutable(0, i, 1), Peer: fmt.Sprint(i)} }, 20_000},
		"anybody, large":   {func(i int) values.Offer { return values.Offer{Record: immutable(0, i, kib8), Peer: fmt.Sprint(i)} }, 2048},
	} {
		t.Run(name, func(t *testing.T) {
			s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
			for i := range c.want {
				put(t, s, c.offer(i), 0, overlay.OK)
			}
			for i := range 10 {
				put(t, s, c.offer(c.want+i), 0, overlay.Quota)
			}
			if records, _, bytes := s.Size(); records != c.want || bytes > 16<<20 {
				t.Errorf("got %d records of %d bytes, want %d", records, bytes, c.want)
			}
			if out := put(t, s, c.offer(0), time.Second, overlay.OK); out.Changed {
				t.Error("got the first record stored anew, want it prolonged")
			}
			if name != "anybody, farther" && name != "anybody, large" {
				put(t, s, values.Offer{Record: immutable(3, 1, 100), Peer: "another"}, 0, overlay.OK)
			}
		})
	}
}

// TestWhoMakesWay fills a store of five records, and offers others: cached copies make way
// first, then the farthest, and never a nearer record for a farther one.
//
// conforms: kad 45, 51
func TestWhoMakesWay(t *testing.T) {
	l := values.DefaultLimits(overlay.Native)
	l.Total.Records = 5
	s := values.New(overlay.ID{}, l)
	for i, o := range []values.Offer{
		{Record: immutable(10, 0, 5)},
		{Record: immutable(20, 1, 5)},
		{Record: immutable(30, 2, 5)},
		{Record: immutable(40, 3, 5), Cached: true},
		{Record: immutable(5, 4, 5), Cached: true},
	} {
		o.Peer = fmt.Sprint(i)
		put(t, s, o, 0, overlay.OK)
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
		out := s.Put(values.Offer{Record: immutable(c.at.prefix, c.at.number, 5), Cached: c.cached}, start, wall)
		if c.gone == refused {
			if out.Status != overlay.Quota || out.Removed != nil {
				t.Errorf("%v: got %+v, want it refused", c.at, out)
			}
			continue
		}
		gone := immutable(c.gone.prefix, c.gone.number, 5).Key
		if out.Status != overlay.OK || !slices.Equal(out.Removed, []overlay.Key{gone}) {
			t.Fatalf("%v: got %v and %v removed, want %v", c.at, out.Status, out.Removed, c.gone)
		}
	}
}

// TestLargeRecordMakesSeveralGo removes as many as are needed, or none.
//
// conforms: kad 51
func TestLargeRecordMakesSeveralGo(t *testing.T) {
	l := values.DefaultLimits(overlay.Native)
	l.Total.Bytes = 10 * 1000
	s := values.New(overlay.ID{}, l)
	for i := range 10 {
		put(t, s, values.Offer{Record: immutable(i, i, 1000-values.Overhead)}, 0, overlay.OK)
	}
	if out := put(t, s, values.Offer{Record: immutable(3, 0, 5000-values.Overhead)}, 0, overlay.Quota); out.Removed != nil {
		t.Errorf("got %d removed for a record that is refused", len(out.Removed))
	}
	if records, _, bytes := s.Size(); records != 10 || bytes != 10_000 {
		t.Errorf("got %d records of %d bytes, want all", records, bytes)
	}
	out := put(t, s, values.Offer{Record: immutable(20, 0, 5000-values.Overhead)}, 0, overlay.OK)
	var want []overlay.Key
	for i := range 5 {
		want = append(want, immutable(i, i, 0).Key)
	}
	if !slices.Equal(out.Removed, want) {
		t.Errorf("got %v removed, want the five farthest", out.Removed)
	}
	put(t, s, values.Offer{Record: immutable(200, 0, 10_001-values.Overhead)}, 0, overlay.Quota)
}

// TestPartsOfTotal has a peer and a group store as much as they may in stores of several sizes,
// by quotas that permit more: no more than a sixteenth and a quarter.
//
// conforms: kad 51; V 39
func TestPartsOfTotal(t *testing.T) {
	for _, total := range []overlay.StoreQuota{{Records: 160, Bytes: 1 << 30}, {Records: 1 << 20, Bytes: 1 << 20}, {Records: 4, Bytes: 1 << 20}} {
		l := overlay.StoreLimits{MaxLife: time.Hour, Total: total, Publisher: total, Peer: total, Group: total}
		fill := func(peer func(i int) string) (records, bytes int) {
			s := values.New(overlay.ID{}, l)
			for i := range total.Records {
				if out := s.Put(values.Offer{Record: immutable(i%200, i, 4<<10), Peer: peer(i), Group: "192.0.2.0/24"}, start, wall); out.Status != overlay.OK {
					break
				}
			}
			records, _, bytes = s.Size()
			return records, bytes
		}
		if records, bytes := fill(func(int) string { return "a" }); records > max(1, total.Records/16) || bytes > total.Bytes/16 || records == 0 {
			t.Errorf("got %d records of %d bytes of a peer in a store of %+v", records, bytes, total)
		}
		if records, bytes := fill(func(i int) string { return fmt.Sprint(i) }); records > max(1, total.Records/4) || bytes > total.Bytes/4 || records == 0 {
			t.Errorf("got %d records of %d bytes of a group in a store of %+v", records, bytes, total)
		}
	}
}

// TestSourcesOfFullStore fills a store by many groups, and then has one source with ever new keys
// offer records nearer than all others. It gets no more than its share.
//
// conforms: V 39
func TestSourcesOfFullStore(t *testing.T) {
	for name, c := range map[string]struct {
		group string
		most  int
	}{"a /24": {"192.0.2.0/24", 11}, "Tor": {"", 101}} {
		l := values.DefaultLimits(overlay.Native)
		l.Total.Records = 400
		s := values.New(overlay.ID{}, l)
		group := func(i int) string { return fmt.Sprintf("198.51.%d.0/24", i%40) }
		for i := range 400 { // 10 of each of 40 groups
			put(t, s, values.Offer{Record: immutable(0, i, 100), Peer: fmt.Sprint(i), Group: group(i)}, 0, overlay.OK)
		}
		has := 0
		for i := range 1000 {
			out := s.Put(values.Offer{Record: immutable(100, i, 100), Peer: fmt.Sprint("attacker", i), Group: c.group}, start, wall)
			if out.Status == overlay.OK {
				has++
			}
			for _, k := range out.Removed {
				if k.Compare(immutable(100, 0, 0).Key) < 0 {
					t.Fatalf("%s: a record of its own made way although it is nearer", name)
				}
			}
		}
		if has > c.most+c.most/2 || has < 10 {
			t.Errorf("%s: got %d of 400 places, want about %d", name, has, c.most)
		}
		// A near record of a peer that has less than others is stored.
		put(t, s, values.Offer{Record: immutable(50, 1, 100), Peer: "honest", Group: "203.0.113.0/24"}, 0, overlay.OK)
	}
}

// model remembers what a store must have, and judges what it does.
type model struct {
	l   overlay.StoreLimits
	all map[overlay.Key]*modelEntry
}

type modelEntry struct {
	o      values.Offer
	until  time.Time
	cached bool
}

func (e *modelEntry) size() int { return len(e.o.Record.Value) + values.Overhead }

func (m *model) sum(include func(*modelEntry) bool) (q overlay.StoreQuota) {
	for _, e := range m.all {
		if include(e) {
			q.Records++
			q.Bytes += e.size()
		}
	}
	return q
}

func over(q, limit overlay.StoreQuota, size int) bool {
	return q.Records+1 > limit.Records || q.Bytes+size > limit.Bytes
}

// pressure is what the source of an entry has in one rank, e counted.
func (m *model) pressure(e, of *modelEntry) int {
	bytes := m.sum(func(x *modelEntry) bool { return x.cached == e.cached && x.o.Group == of.o.Group }).Bytes
	if of.o.Group == e.o.Group && m.all[e.o.Record.Key] != e {
		bytes += e.size()
	}
	if of.o.Group == "" {
		return bytes // sixteen shares
	}
	return 16 * bytes
}

// put judges the outcome of an offer, and remembers it.
func (m *model) put(o values.Offer, now time.Time, out values.Outcome) error {
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
		return want(out.Status, overlay.OK)
	}
	e := &modelEntry{o, until, o.Cached}
	if over(m.sum(func(x *modelEntry) bool { return x.o.Peer == o.Peer }), m.l.Peer, e.size()) ||
		o.Group != "" && over(m.sum(func(x *modelEntry) bool { return x.o.Group == o.Group }), m.l.Group, e.size()) {
		return want(out.Status, overlay.Quota)
	}
	total := func() overlay.StoreQuota { return m.sum(func(*modelEntry) bool { return true }) }
	var gone []*modelEntry
	for _, key := range out.Removed {
		if x := m.all[key]; x != nil {
			gone = append(gone, x)
		}
	}
	for _, x := range gone {
		if !over(total(), m.l.Total, e.size()) {
			return fmt.Errorf("one more made way than has to")
		}
		if err := m.mayGo(e, x); err != nil {
			return err
		}
		delete(m.all, x.o.Record.Key)
	}
	if out.Status == overlay.OK {
		m.all[o.Record.Key] = e
		return nil
	}
	if !over(total(), m.l.Total, e.size()) || len(gone) > 0 {
		return fmt.Errorf("refused although it has room")
	}
	return want(out.Status, overlay.Quota)
}

// mayGo returns an error if x must not make way for e.
func (m *model) mayGo(e, x *modelEntry) error {
	far, copies := x, false
	for _, y := range m.all {
		copies = copies || y.cached
		if y.cached == x.cached && y.o.Record.Key.Compare(far.o.Record.Key) > 0 { // the node's id is zero
			far = y
		}
	}
	switch {
	case copies && !x.cached, e.cached && !x.cached:
		return fmt.Errorf("a copy does not make way first")
	case x.cached && !e.cached:
		if far != x {
			return fmt.Errorf("not the farthest copy made way")
		}
	case x.o.Record.Key.Compare(e.o.Record.Key) <= 0:
		return fmt.Errorf("a nearer record made way")
	case far != x && m.pressure(e, x) <= m.pressure(e, far):
		return fmt.Errorf("one made way that is not the farthest, of a source with %d; that of the farthest has %d", m.pressure(e, x), m.pressure(e, far))
	}
	return nil
}

func want(got, want overlay.Status) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// TestModel compares the store with one that has no index, for random offers.
//
// conforms: kad 51; V 39
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		total := overlay.StoreQuota{Records: 40, Bytes: 30_000}
		l := overlay.StoreLimits{MaxLife: time.Hour, Total: total, Publisher: overlay.StoreQuota{Records: 1, Bytes: 1}, Peer: overlay.StoreQuota{Records: 2, Bytes: 16 << 10}, Group: overlay.StoreQuota{Records: 10, Bytes: 16 << 10}}
		s, m := values.New(overlay.ID{}, l), &model{l, map[overlay.Key]*modelEntry{}}
		now := start
		refused, shared := 0, 0
		for step := range 1000 {
			now = now.Add(time.Duration(r.IntN(60)) * time.Second)
			o := values.Offer{
				Record: immutable(r.IntN(10), r.IntN(10), r.IntN(10)*300), TTL: time.Duration(1+r.IntN(120)) * time.Minute,
				Peer: fmt.Sprint("p", r.IntN(30)), Cached: r.IntN(3) == 0,
			}
			if g := r.IntN(7); g > 0 {
				o.Group = fmt.Sprintf("192.0.%d.0/24", g*g/8)
			}
			out := s.Put(o, now, wall)
			if err := m.put(o, now, out); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			if out.Status == overlay.Quota {
				refused++
			}
			shared += len(out.Removed)
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
		if refused == 0 || shared == 0 {
			t.Errorf("seed %d: got %d refused and %d removed, want some", seed, refused, shared)
		}
	}
}
