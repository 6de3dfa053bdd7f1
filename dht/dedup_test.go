package dht_test

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

func hashOf(n int) (h wire.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(n))
	return h
}

func nodeOf(n int) (id identity.NodeID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// conforms: dht 50
func TestDedupCounts(t *testing.T) {
	d := dht.NewDedup(10)
	begin := time.Unix(expires, 0)
	for i := 1; i <= 3; i++ {
		at := begin.Add(time.Duration(i) * time.Second)
		if got := d.Count(hashOf(1), nodeOf(i), at); got != uint32(i) {
			t.Errorf("copy %d: got count %d", i, got)
		}
	}
	c := d.Changes(10)
	want := dht.DedupRecord{Hash: hashOf(1), From: nodeOf(3), Hits: 3, First: begin.Add(time.Second), LastHit: begin.Add(3 * time.Second)}
	if len(c.Put) != 1 || len(c.Gone) != 0 || c.Put[0] != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if c = d.Changes(10); len(c.Put) != 0 {
		t.Errorf("asked again: got %d changes, want none", len(c.Put))
	}
	if d.Seen(hashOf(1)) != 3 || d.Seen(hashOf(2)) != 0 {
		t.Errorf("got %d and %d, want 3 and 0", d.Seen(hashOf(1)), d.Seen(hashOf(2)))
	}
}

// conforms: dht 54
func TestDedupOfOwnMessages(t *testing.T) {
	d := dht.NewDedup(10)
	now := time.Unix(expires, 0)
	d.Own(hashOf(1), nodeOf(0), now)
	d.Own(hashOf(1), nodeOf(0), now)
	if got := d.Count(hashOf(1), nodeOf(5), now); got != 2 {
		t.Errorf("the echo: got count %d, want 2", got)
	}
	d.Own(hashOf(1), nodeOf(0), now)
	if got := d.Seen(hashOf(1)); got != 2 {
		t.Errorf("recorded again: got %d, want 2", got)
	}
}

// conforms: dht 52
func TestDedupForgetsTheOldestHit(t *testing.T) {
	d := dht.NewDedup(3)
	now := time.Unix(expires, 0)
	for i := range 3 {
		d.Count(hashOf(i), nodeOf(0), now)
	}
	d.Count(hashOf(0), nodeOf(0), now) // no longer the oldest
	d.Changes(10)
	d.Count(hashOf(3), nodeOf(0), now)
	if d.Seen(hashOf(1)) != 0 || d.Seen(hashOf(0)) != 2 || d.Len() != 3 {
		t.Errorf("got counts %d, %d, %d hashes, want the second forgotten", d.Seen(hashOf(0)), d.Seen(hashOf(1)), d.Len())
	}
	c := d.Changes(10)
	if len(c.Gone) != 1 || c.Gone[0] != hashOf(1) || len(c.Put) != 1 || c.Put[0].Hash != hashOf(3) {
		t.Errorf("got %+v, want 3 put and 1 gone", c)
	}
}

// Dedup goes on counting loaded records; those that it has no room for are gone.
//
// conforms: dht 51
func TestDedupRestart(t *testing.T) {
	d := dht.NewDedup(3)
	for i := range 5 {
		d.Load(dht.DedupRecord{Hash: hashOf(i), Hits: 1})
	}
	c := d.Changes(10)
	if len(c.Put) != 0 || len(c.Gone) != 2 || !slices.Contains(c.Gone, hashOf(0)) || !slices.Contains(c.Gone, hashOf(1)) {
		t.Errorf("got %+v, want the first two gone", c)
	}
	if got := d.Count(hashOf(4), nodeOf(1), time.Unix(expires, 0)); got != 2 {
		t.Errorf("got %d, want the second copy", got)
	}
}

// Against a model that keeps everything in a plain list.
//
// conforms: dht 50, 52, 54
func TestDedupAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 6).Draw(t, "capacity")
		d := dht.NewDedup(capacity)
		type record struct {
			h    wire.Hash
			hits uint32
			from identity.NodeID // first
		}
		var model []record // oldest hit first
		held, since := map[identity.NodeID]int{}, map[identity.NodeID]int{}
		change := 0
		hold := func(from identity.NodeID, by int) {
			change++
			held[from] += by
			since[from] = change
		}
		insert := func(r record) { // of the first sender that has most, for longest, the oldest goes
			if len(model) == capacity {
				var most identity.NodeID
				for from, n := range held {
					if n > held[most] || n == held[most] && since[from] < since[most] {
						most = from
					}
				}
				i := slices.IndexFunc(model, func(r record) bool { return r.from == most })
				model = slices.Delete(model, i, i+1)
				hold(most, -1)
			}
			hold(r.from, 1)
			model = append(model, r)
		}
		stored := map[wire.Hash]uint32{}
		flush := func() {
			write(stored, d, rapid.IntRange(0, 4).Draw(t, "most"))
		}
		find := func(h wire.Hash) int {
			for i, r := range model {
				if r.h == h {
					return i
				}
			}
			return -1
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h := hashOf(rapid.IntRange(0, 9).Draw(t, "hash"))
			i := find(h)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				flush()
				continue
			case 4: // what is taken is not kept
				d.Changes(rapid.IntRange(0, 4).Draw(t, "taken"))
				d.Rewrite()
				continue
			case 5:
				d.Forget(h)
				if i >= 0 {
					hold(model[i].from, -1)
					model = slices.Delete(model, i, i+1)
				}
			case 1:
				d.Own(h, nodeOf(0), time.Time{})
				if i >= 0 {
					continue
				}
				insert(record{h, 1, nodeOf(0)})
			default:
				from := nodeOf(rapid.IntRange(0, 3).Draw(t, "from"))
				r := record{h, 1, from}
				if i >= 0 {
					r = model[i]
					r.hits++
					model = append(slices.Delete(model, i, i+1), r)
				} else {
					insert(r)
				}
				if got := d.Count(h, from, time.Time{}); got != r.hits {
					t.Fatalf("got count %d, want %d", got, r.hits)
				}
			}
			for n := range 10 {
				want := uint32(0)
				if i := find(hashOf(n)); i >= 0 {
					want = model[i].hits
				}
				if got := d.Seen(hashOf(n)); got != want {
					t.Fatalf("hash %d: got %d, want %d", n, got, want)
				}
			}
		}
		write(stored, d, 100)
		if len(stored) != len(model) {
			t.Fatalf("stored %d records, want %d", len(stored), len(model))
		}
		for _, r := range model {
			if stored[r.h] != r.hits {
				t.Fatalf("stored %d hits, want %d", stored[r.h], r.hits)
			}
		}
	})
}

// write does what whoever keeps the records does.
func write(stored map[wire.Hash]uint32, d *dht.Dedup, most int) {
	c := d.Changes(most)
	if c.Whole {
		clear(stored)
	}
	for _, h := range c.Gone {
		delete(stored, h)
	}
	for _, r := range c.Put {
		stored[r.Hash] = r.Hits
	}
}

// Changes that are not taken stay bounded: a record that was made and evicted in
// between is in none.
func TestDedupChangesAreBounded(t *testing.T) {
	d := dht.NewDedup(10)
	for i := range 1000 {
		d.Count(hashOf(i), nodeOf(0), time.Unix(expires, 0))
	}
	if got := d.Pending(); got != 10 {
		t.Errorf("got %d changes, want those of 10 hashes", got)
	}
	if c := d.Changes(1000); len(c.Gone) != 0 || len(c.Put) != 10 || c.Whole {
		t.Errorf("got %d gone, %d put, whole %v, want 0, 10, false", len(c.Gone), len(c.Put), c.Whole)
	}
	all := d.All()
	if len(all) != 10 || all[0].Hash != hashOf(990) || all[9].Hash != hashOf(999) {
		t.Errorf("got %d records, want the last ten, oldest first", len(all))
	}
	for i := 1000; i < 2000; i++ {
		d.Count(hashOf(i), nodeOf(0), time.Unix(expires, 0))
	}
	d.Count(hashOf(990), nodeOf(0), time.Unix(expires, 0)) // forgotten, and back
	c := d.Changes(1000)
	if c.Whole || slices.Contains(c.Gone, hashOf(990)) || len(c.Gone) != 9 || len(c.Put) != 10 {
		t.Errorf("got %d gone and %d put, want the nine that were kept and ten put", len(c.Gone), len(c.Put))
	}
}

// More was kept than fits twice: naming all of that would not be bounded.
func TestDedupLoadsTooMuch(t *testing.T) {
	d := dht.NewDedup(3)
	for i := range 10 {
		d.Load(dht.DedupRecord{Hash: hashOf(i), Hits: 1})
	}
	c := d.Changes(1)
	if !c.Whole || len(c.Gone) != 0 || len(c.Put) != 3 || c.Put[0].Hash != hashOf(7) || c.Put[2].Hash != hashOf(9) {
		t.Errorf("got %+v, want the last three and nothing else", c)
	}
	if got := d.Pending(); got != 0 {
		t.Errorf("afterwards: got %d changes, want none", got)
	}
}

// After Rewrite the next Changes have every record.
//
// conforms: dht 53; V 29
func TestDedupRewrite(t *testing.T) {
	d := dht.NewDedup(3)
	now := time.Unix(expires, 0)
	for i := range 4 {
		d.Count(hashOf(i), nodeOf(0), now)
		d.Changes(10)
	}
	d.Count(hashOf(4), nodeOf(0), now)
	d.Rewrite()
	if got := d.Pending(); got != 3 {
		t.Errorf("got %d changes, want all three records", got)
	}
	d.Count(hashOf(2), nodeOf(0), now)
	c := d.Changes(1)
	if want := []wire.Hash{hashOf(3), hashOf(4), hashOf(2)}; !c.Whole || len(c.Gone) > 0 || !slices.Equal(hashes(c.Put), want) {
		t.Errorf("got %+v, want %v and nothing else", c, want)
	}
	if c = d.Changes(10); c.Whole || len(c.Put)+len(c.Gone) > 0 {
		t.Errorf("asked again: got %+v, want nothing", c)
	}
	if d.Seen(hashOf(2)) != 2 || d.Seen(hashOf(1)) != 0 {
		t.Errorf("got counts %d and %d, want 2 and 0", d.Seen(hashOf(2)), d.Seen(hashOf(1)))
	}
	empty := dht.NewDedup(3)
	empty.Rewrite()
	if got := empty.Pending(); got != 1 {
		t.Errorf("an empty one: got %d changes, want one: others are to be deleted", got)
	}
}

func hashes(records []dht.DedupRecord) (list []wire.Hash) {
	for _, r := range records {
		list = append(list, r.Hash)
	}
	return list
}

// It is told once that there are changes, and again only when all were taken.
func TestDedupTellsOfChanges(t *testing.T) {
	d := dht.NewDedup(3)
	now := time.Unix(expires, 0)
	told := 0
	want := func(n int, when string) {
		t.Helper()
		if told != n {
			t.Errorf("%s: told %d times, want %d", when, told, n)
		}
	}
	d.OnChange(func() { told++; d.Seen(hashOf(0)) }) // it may call
	want(0, "nothing counted")
	for i := range 5 {
		d.Count(hashOf(i), nodeOf(0), now)
	}
	d.Own(hashOf(7), nodeOf(0), now)
	want(1, "counted")
	d.Changes(1)
	d.Count(hashOf(8), nodeOf(0), now)
	want(1, "not all taken")
	d.Changes(10)
	want(1, "all taken")
	d.Seen(hashOf(8))
	want(1, "looked up")
	d.Count(hashOf(8), nodeOf(0), now)
	want(2, "a copy")
	d.OnChange(func() { told += 10 })
	want(12, "heard by another")
	d.Changes(10)
	d.Rewrite()
	want(22, "to be rewritten")
	d.Changes(10)
	d.Own(hashOf(8), nodeOf(0), now)
	want(22, "an own message that was there")
}

// A count that is at its end stays there: 0 would be a message never seen.
func TestDedupCountEnds(t *testing.T) {
	d := dht.NewDedup(3)
	d.Load(dht.DedupRecord{Hash: hashOf(1), Hits: math.MaxUint32})
	if got := d.Count(hashOf(1), nodeOf(0), time.Unix(expires, 0)); got != math.MaxUint32 {
		t.Errorf("got %d, want it unchanged", got)
	}
}

func TestDedupStats(t *testing.T) {
	d := dht.NewDedup(3)
	for i := range 6 {
		d.Count(hashOf(i%4), nodeOf(0), time.Unix(expires, 0)) // 0 and 1 are forgotten before they come back
	}
	d.Count(hashOf(1), nodeOf(0), time.Unix(expires, 0))
	if got, want := d.Stats(), (dht.DedupStats{Hashes: 3, Capacity: 3, Copies: 1, Pending: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func BenchmarkDedupNewHashes(b *testing.B) {
	d := dht.NewDedup(dht.DedupCapacity)
	now := time.Unix(expires, 0)
	for i := 0; b.Loop(); i++ {
		d.Count(hashOf(i), nodeOf(0), now)
		if i%1000 == 0 {
			d.Changes(1000)
		}
	}
}

// TestDedupHold: a held message counts as seen and has no record; when it is released it is
// counted, or new again.
func TestDedupHold(t *testing.T) {
	d := dht.NewDedup(10)
	now := time.Unix(1000, 0)
	h, from := wire.Hash{1}, identity.NodeID{2}
	if !d.Hold(h) || d.Hold(h) || d.Seen(h) != 1 || d.Len() != 0 || d.Pending() != 0 {
		t.Errorf("held: got %d seen, %d records, %d pending", d.Seen(h), d.Len(), d.Pending())
	}
	if n := d.Count(h, from, now); n != 2 || d.Len() != 0 {
		t.Errorf("a copy: got %d, %d records, want 2 and none", n, d.Len())
	}
	d.Release(h, from, now, false)
	if d.Seen(h) != 0 {
		t.Error("not handled: got it seen")
	}
	d.Hold(h)
	d.Release(h, from, now, true)
	if d.Seen(h) != 1 || d.Len() != 1 || d.Hold(h) {
		t.Errorf("handled: got %d seen, %d records", d.Seen(h), d.Len())
	}
}

// TestDedupOpen: further copies of a message for a handler are duplicates, whether its handler
// has it, has finished it or has dropped it. Only the end of the handler's work brings the
// message to the disk, and only a dropped one may be taken in hand again.
func TestDedupOpen(t *testing.T) {
	now, from, h := time.Unix(expires, 0), nodeOf(1), hashOf(1)
	for _, row := range []struct {
		name   string
		before func(d *dht.Dedup, stored map[wire.Hash]uint32)
	}{
		{name: "new"},
		{"refused, and its record is still on the disk", func(d *dht.Dedup, stored map[wire.Hash]uint32) {
			d.Count(h, from, now)
			write(stored, d, 10)
			d.Forget(h)
		}},
		{"refused, in the place of a change", func(d *dht.Dedup, _ map[wire.Hash]uint32) {
			d.Count(h, from, now)
			d.Forget(h)
		}},
		{"before a rewrite", func(d *dht.Dedup, _ map[wire.Hash]uint32) { d.Rewrite() }},
	} {
		d, stored := dht.NewDedup(10), map[wire.Hash]uint32{}
		if row.before != nil {
			row.before(d, stored)
		}
		check := func(when string, seen, handled uint32, inHand bool, onDisk int) {
			t.Helper()
			write(stored, d, 10)
			if d.Seen(h) != seen || d.Handled(h) != handled || d.InHand(h) != inHand || len(stored) != onDisk || d.Pending() != 0 {
				t.Errorf("%s, %s: got seen %d, handled %d, in hand %v, %d on disk, %d pending, want %d, %d, %v, %d and none",
					row.name, when, d.Seen(h), d.Handled(h), d.InHand(h), len(stored), d.Pending(), seen, handled, inHand, onDisk)
			}
		}
		count := func(want uint32) {
			t.Helper()
			if n := d.CountOpen(h, from, now); n != want {
				t.Errorf("%s: got copy %d, want %d", row.name, n, want)
			}
		}
		count(1)
		check("in hand", 1, 0, true, 0)
		count(2)
		if d.Hold(h) {
			t.Errorf("%s: a stored copy is taken in hand beside the first one", row.name)
		}
		check("a copy", 2, 0, true, 0)
		d.Release(h, from, now, false)
		check("dropped", 2, 0, false, 0)
		count(3)
		if !d.Hold(h) || d.Hold(h) {
			t.Errorf("%s: dropped, want it taken in hand once", row.name)
		}
		check("a stored copy", 3, 0, true, 0)
		d.Release(h, from, now, true)
		d.Release(h, from, now, false) // as a late release of an earlier copy may do
		check("handled", 3, 3, false, 1)
		count(4)
		check("copied", 4, 4, false, 1)
	}
}

// TestDedupOpenEvicted: an evicted message that a handler has stays a duplicate until it is
// finished, and is recorded then. One that was dropped stays a duplicate for relays, and a stored
// copy of it is of use.
func TestDedupOpenEvicted(t *testing.T) {
	now, from := time.Unix(expires, 0), nodeOf(1)
	d, stored := dht.NewDedup(2), map[wire.Hash]uint32{}
	if err := d.Remember(rand.Reader); err != nil {
		t.Fatal(err)
	}
	d.CountOpen(hashOf(1), from, now)
	d.CountOpen(hashOf(2), from, now)
	d.CountOpen(hashOf(3), from, now) // evicts the first
	d.Release(hashOf(2), from, now, false)
	d.CountOpen(hashOf(4), from, now) // evicts the second
	write(stored, d, 10)
	if n := d.CountOpen(hashOf(1), from, now); n != 2 || !d.InHand(hashOf(1)) || d.Handled(hashOf(1)) != 0 || d.Hold(hashOf(1)) {
		t.Errorf("in hand: got copy %d, in hand %v, want 2 and true", n, d.InHand(hashOf(1)))
	}
	if n := d.CountOpen(hashOf(2), from, now); n != math.MaxUint32 || d.Handled(hashOf(2)) != 0 || d.InHand(hashOf(2)) {
		t.Errorf("dropped: got copy %d of a relay, handled %d times, want a duplicate that was not handled", n, d.Handled(hashOf(2)))
	}
	for range 2 {
		if !d.Hold(hashOf(2)) || d.Hold(hashOf(2)) || !d.InHand(hashOf(2)) {
			t.Error("dropped: a stored copy cannot be held, or twice")
		}
		d.Release(hashOf(2), from, now, false)
	}
	d.Hold(hashOf(2))
	if d.Release(hashOf(2), from, now, true); d.Handled(hashOf(2)) == 0 || d.Hold(hashOf(2)) {
		t.Error("dropped: a stored copy was handled, and a further one can be held")
	}
	if len(stored) != 0 {
		t.Errorf("got %d on disk, want none", len(stored))
	}
	d.Release(hashOf(1), from, now, true)
	write(stored, d, 10)
	if d.Handled(hashOf(1)) == 0 || stored[hashOf(1)] != 1 {
		t.Errorf("finished: got it handled %d times, %v on disk, want once", d.Handled(hashOf(1)), stored)
	}
	d.CountOpen(hashOf(5), from, now)
	d.Forget(hashOf(3)) // evicted, and its handler has no room for it
	if d.Seen(hashOf(3)) != 0 {
		t.Error("refused: got it seen")
	}
}

// TestDedupForget: a forgotten message is new again, in memory and on disk, whether its record
// was written before or not, and leaves no fingerprint.
func TestDedupForget(t *testing.T) {
	d := dht.NewDedup(2)
	if err := d.Remember(rand.Reader); err != nil {
		t.Fatal(err)
	}
	now, from, stored := time.Unix(expires, 0), nodeOf(1), map[wire.Hash]uint32{}
	for _, written := range []bool{false, true} {
		d.Count(hashOf(1), from, now)
		if written {
			write(stored, d, 10)
		}
		d.Forget(hashOf(1))
		d.Forget(hashOf(9)) // nobody has seen it
		write(stored, d, 10)
		if d.Seen(hashOf(1)) != 0 || d.Len() != 0 || len(stored) != 0 {
			t.Errorf("written before %v: got it seen %d times, %d records, %d on disk, want none", written, d.Seen(hashOf(1)), d.Len(), len(stored))
		}
		if n := d.Count(hashOf(1), from, now); n != 1 {
			t.Errorf("written before %v: the next copy is number %d, want 1", written, n)
		}
		d.Forget(hashOf(1))
	}
	for n := range 10 { // more than there is room for
		d.Count(hashOf(10+n), from, now)
	}
	if d.Len() != 2 || d.Seen(hashOf(1)) != 0 || d.Seen(hashOf(10)) == 0 {
		t.Errorf("got %d records, the forgotten one seen %d times, an evicted one %d times, want 2, never, and seen", d.Len(), d.Seen(hashOf(1)), d.Seen(hashOf(10)))
	}
}
