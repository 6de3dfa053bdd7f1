package saf_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Destinations and sources of the tests.
var (
	ann, ben   = identity.NodeID{1, 'a'}, identity.NodeID{1, 'b'}
	east, west = identity.NodeID{2, 'e'}, identity.NodeID{2, 'w'}
)

// numbered returns a record with its own hash.
func numbered(i int, to, from identity.NodeID, p saf.Priority, size int) saf.Record {
	return saf.Record{
		Hash: wire.Hash{1, byte(i >> 16), byte(i >> 8), byte(i)}, Destination: to, Source: from,
		StoredAt: begin.Unix(), Size: size, Priority: p,
	}
}

func mustAdd(t *testing.T, x *saf.Index, now time.Time, r saf.Record) (ref saf.Ref, gone []uint64) {
	t.Helper()
	ref, gone, why := x.Add(now, r)
	if why != 0 {
		t.Fatalf("record %+v was refused: %v", r, why)
	}
	return ref, gone
}

func limited(change func(*saf.Limits)) saf.Limits {
	l := saf.Default()
	change(&l)
	return l
}

func seqs(items []saf.Item) (list []uint64) {
	for _, i := range items {
		list = append(list, i.Seq)
	}
	return list
}

func refs(items []saf.Item) (list []saf.Ref) {
	for _, i := range items {
		list = append(list, i.Ref)
	}
	return list
}

func wantSeqs(t *testing.T, what string, got []uint64, want ...uint64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestEqualHash: a message is stored once, until it is removed.
//
// conforms: dht 95
func TestEqualHash(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	ref, _ := mustAdd(t, x, begin, numbered(1, ann, east, saf.High, 100))
	again := numbered(1, ben, west, saf.Low, 50)
	if _, gone, why := x.Add(begin, again); why != saf.AlreadyStored || len(gone) > 0 {
		t.Errorf("an equal hash: got %v, want %v", why, saf.AlreadyStored)
	}
	if s := x.Stats(); s.Messages != 1 || s.Bytes != 100 || s.Refused[saf.AlreadyStored] != 1 {
		t.Errorf("got %+v, want one message and a refusal", s)
	}
	wantSeqs(t, "loaded again", x.Load(begin, begin, saf.Record{Seq: 7, Hash: again.Hash}), 7)
	if !x.Remove(ref) || x.Remove(ref) {
		t.Error("Remove does not remove exactly once")
	}
	mustAdd(t, x, begin, again)
}

// TestExpiry: Low lasts 6 h, High 3 days, and a confirmed message its grace.
//
// conforms: dht 109
func TestExpiry(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	mustAdd(t, x, begin, numbered(1, ann, east, saf.High, 1))
	mustAdd(t, x, begin, numbered(2, ann, east, saf.Low, 1))
	mustAdd(t, x, begin, numbered(3, ben, east, saf.Low, 1))
	for _, step := range []struct {
		after time.Duration
		gone  []uint64
	}{
		{6*time.Hour - 1, nil},
		{6 * time.Hour, []uint64{2, 3}},
		{72*time.Hour - 1, nil},
		{72 * time.Hour, []uint64{1}},
		{1000 * time.Hour, nil},
	} {
		if len(step.gone) > 0 && !x.Due().Equal(begin.Add(step.after)) {
			t.Errorf("next at %v, want after %v", x.Due(), step.after)
		}
		wantSeqs(t, step.after.String(), x.Expire(begin.Add(step.after), 10), step.gone...)
	}
	if !x.Due().IsZero() {
		t.Errorf("an empty index: next at %v, want never", x.Due())
	}
	now := begin.Add(2000 * time.Hour)
	mustAdd(t, x, now, numbered(4, ann, east, saf.High, 1))
	x.Confirmed(now, refs(x.Answer(now, ann, wire.StoredRequest{}, 1<<20)))
	wantSeqs(t, "within the grace", x.Expire(now.Add(saf.LeastGrace-1), 10))
	wantSeqs(t, "after the grace", x.Expire(now.Add(saf.LeastGrace), 10), 4)
}

// TestExpireInPortions: one call removes no more than it is asked to, even if all is over.
func TestExpireInPortions(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	for i := range 25 {
		mustAdd(t, x, begin, numbered(i, ann, east, saf.High, 1))
	}
	for _, want := range []int{10, 10, 5, 0} {
		if got := x.Expire(begin.Add(100*time.Hour), 10); len(got) != want {
			t.Errorf("got %d removed, want %d", len(got), want)
		}
	}
}

// TestWhatMakesWay: for a destination, and in all, messages of the source that has the most, for
// the limits of a source its own; of them those that were delivered first, then Low, then the
// oldest. What only better ones of its own source could make way for is refused.
//
// conforms: dht 109
func TestWhatMakesWay(t *testing.T) {
	l := limited(func(l *saf.Limits) { l.Messages, l.SourceMessages, l.DestinationMessages = 6, 3, 3 })
	x := saf.NewIndex(l)
	mustAdd(t, x, begin, numbered(1, ann, east, saf.High, 1))
	mustAdd(t, x, begin, numbered(2, ann, east, saf.Low, 1))
	mustAdd(t, x, begin, numbered(3, ann, west, saf.High, 1))

	_, gone := mustAdd(t, x, begin, numbered(4, ann, west, saf.High, 1)) // ann is at its limit
	wantSeqs(t, "of two equal sources the newest", gone, 3)
	if _, _, why := x.Add(begin, numbered(5, ann, west, saf.Low, 1)); why != saf.DestinationFull {
		t.Errorf("Low of a source with High only: got %v, want %v", why, saf.DestinationFull)
	}
	_, gone = mustAdd(t, x, begin, numbered(6, ann, east, saf.High, 1))
	wantSeqs(t, "lowest priority of the source with most", gone, 2)

	mustAdd(t, x, begin, numbered(7, ben, west, saf.Low, 1))
	mustAdd(t, x, begin, numbered(8, ben, west, saf.Low, 1))
	_, gone = mustAdd(t, x, begin, numbered(9, ben, west, saf.Low, 1))
	wantSeqs(t, "of the source", gone, 6) // message 7
	if s := x.Stats(); s.DestinationEvicted != 2 || s.SourceEvicted != 1 || s.Evicted != 0 {
		t.Errorf("got %+v, want 2 and 1 that made way", s)
	}
	mustAdd(t, x, begin, numbered(10, ben, east, saf.High, 1)) // three of each source
	third, south := identity.NodeID{1, 'c'}, identity.NodeID{2, 's'}
	x.Confirmed(begin, refs(x.Answer(begin, ann, wire.StoredRequest{Limit: 1}, 1<<20)))
	_, gone = mustAdd(t, x, begin, numbered(11, third, south, saf.Low, 1))
	wantSeqs(t, "oldest Low of the newest of equals", gone, 7) // message 8
	_, gone = mustAdd(t, x, begin, numbered(12, third, south, saf.Low, 1))
	wantSeqs(t, "delivered, of the source with most", gone, 1)
}

// TestManyKeysOfASource: ten thousand keys of one machine, or 2,010 with a message each, push out
// what they have brought themselves; what one key of another address has brought stays, for a
// destination and in all. From exempt sources those stay that this node has dialled or served for
// an hour, and, of equals, those that came first.
//
// conforms: V 39
func TestManyKeysOfASource(t *testing.T) {
	exempt, one := share.Exempt, share.Of(netip.MustParseAddr("203.0.113.5"))
	for _, c := range []struct {
		name         string
		honest, from share.Source
		last         bool
		letters      int // of the honest source
		keys, each   int
	}{
		{"one address, for a destination", share.Of(netip.MustParseAddr("192.0.2.1")), one, false, 5, 2_010, 1},
		{"one address, in all", share.Of(netip.MustParseAddr("192.0.2.1")), one, false, 5, 10, 600},
		{"exempt, dialled", exempt, exempt, true, 5, 2_010, 1},
		{"exempt, one each", exempt, exempt, false, 1, 2_010, 1},
		{"old records", share.None, one, false, 5, 2_010, 1},
	} {
		x := saf.NewIndex(limited(func(l *saf.Limits) { l.Messages, l.DestinationMessages = 5_000, 2_000 }))
		n := 0
		add := func(to, from identity.NodeID, source share.Source, last bool) {
			r := numbered(n, to, from, saf.High, 100)
			r.Hash = wire.Hash{byte(n), byte(n >> 8), 1}
			r.From, r.Last = source, last
			n++
			x.Add(begin, r)
		}
		for range c.letters {
			add(ann, west, c.honest, c.last)
		}
		for i := range c.keys {
			for j := range c.each {
				to := ann
				if c.each > 1 {
					to = identity.NodeID{7, byte(i), byte(j)}
				}
				add(to, identity.NodeID{8, byte(i), byte(i >> 8)}, c.from, false)
			}
		}
		var seqs []uint64
		for _, i := range x.Answer(begin, ann, wire.StoredRequest{}, 1<<20) {
			if i.Seq <= uint64(c.letters) {
				seqs = append(seqs, i.Seq)
			}
		}
		if len(seqs) != c.letters {
			t.Errorf("%s: got %d of %d letters of the honest source kept", c.name, len(seqs), c.letters)
		}
		if s := x.Stats(); s.Evicted+s.DestinationEvicted+s.Refused[saf.Full]+s.Refused[saf.DestinationFull] == 0 {
			t.Errorf("%s: got nothing full: %+v", c.name, s)
		}
	}
}

// TestSourceGoesLast: a source that this node has served for an hour meanwhile, or that is
// connected from elsewhere, counts so with all that it has brought.
func TestSourceGoesLast(t *testing.T) {
	x := saf.NewIndex(limited(func(l *saf.Limits) { l.Messages, l.DestinationMessages = 6, 4 }))
	n := 0
	add := func(to, from identity.NodeID, source share.Source, last bool) []uint64 {
		n++
		r := numbered(n, to, from, saf.High, 1)
		r.From, r.Last = source, last
		_, gone, _ := x.Add(begin, r)
		return gone
	}
	one := share.Of(netip.MustParseAddr("203.0.113.5"))
	add(ann, west, share.Exempt, false)
	add(ann, west, share.Exempt, false)
	add(ann, east, one, false)
	add(ann, east, one, false)
	wantSeqs(t, "the source with more", add(ann, east, one, false), 3)
	wantSeqs(t, "who does not go last", add(ann, west, one, true), 4)
	add(ben, identity.NodeID{3}, one, false)
	add(ben, identity.NodeID{4}, one, false)
	wantSeqs(t, "who does not go last, the newest of equal keys", add(ben, west, one, true), 8)
	if s := x.Stats(); s.Messages != 6 {
		t.Errorf("got %+v", s)
	}
}

// TestFull: a store is full from the first message that has no room until a twentieth of it
// is free again.
func TestFull(t *testing.T) {
	x := saf.NewIndex(limited(func(l *saf.Limits) { l.Messages, l.Bytes = 200, 1<<20 }))
	n := 0
	add := func(size int) {
		n++
		mustAdd(t, x, begin, numbered(n, ann, east, saf.High, size))
	}
	want := func(what string, full bool) {
		t.Helper()
		if x.Full() != full {
			t.Errorf("%s: got full %v, want %v", what, !full, full)
		}
	}
	for range 200 {
		add(10)
	}
	want("at the limit", false)
	add(10)
	want("one made way", true)
	x.PurgeAll(9)
	want("191 of 200", true)
	x.PurgeAll(1)
	want("190 of 200", false)
	add(10)
	want("another one", false)
	add(1<<20 - 100)
	want("by bytes", true)
	x.PurgeAll(1000)
	if _, _, why := x.Add(begin, numbered(1000, ann, east, saf.High, 1<<20+1)); why != saf.Full {
		t.Errorf("got %v, want %v", why, saf.Full)
	}
}

// TestOneSourceFloodsADestination: what one source brings for a destination beyond its limit
// takes the place of its own messages, and what others have brought stays.
func TestOneSourceFloodsADestination(t *testing.T) {
	x := saf.NewIndex(limited(func(l *saf.Limits) { l.DestinationMessages, l.PairMessages, l.PairBytes = 8, 2, 50 }))
	mustAdd(t, x, begin, numbered(1, ann, west, saf.Low, 10))
	for i := range 20 {
		_, gone := mustAdd(t, x, begin, numbered(2+i, ann, east, saf.High, 10))
		if i < 2 {
			wantSeqs(t, "below the limit", gone)
			continue
		}
		wantSeqs(t, "of the same source", gone, uint64(i))
	}
	if _, _, why := x.Add(begin, numbered(30, ann, east, saf.Low, 1)); why != saf.PairFull {
		t.Errorf("Low for a pair full of High: got %v, want %v", why, saf.PairFull)
	}
	_, gone := mustAdd(t, x, begin, numbered(31, ann, east, saf.High, 45))
	wantSeqs(t, "by bytes", gone, 20, 21)
	_, gone = mustAdd(t, x, begin, numbered(32, ben, east, saf.High, 45))
	wantSeqs(t, "for another destination", gone)
	if s := x.Stats(); s.PairEvicted != 20 || s.DestinationEvicted != 0 || s.Messages != 3 {
		t.Errorf("got %+v, want three stored, and 20 that made way for their own source", s)
	}
}

// TestManySourcesFloodADestination: sources that bring much for a destination take the place
// of their own messages, and what one has brought that brings little stays; by number, and by
// bytes.
func TestManySourcesFloodADestination(t *testing.T) {
	for name, l := range map[string]saf.Limits{
		"by number": limited(func(l *saf.Limits) { l.DestinationMessages, l.PairMessages = 20, 5 }),
		"by bytes":  limited(func(l *saf.Limits) { l.DestinationBytes, l.PairBytes = 200, 50 }),
	} {
		x := saf.NewIndex(l)
		for i := range 2 {
			mustAdd(t, x, begin, numbered(i, ann, west, saf.High, 10))
		}
		n := 2
		for range 40 {
			for flooder := range byte(5) {
				if _, gone := mustAdd(t, x, begin, numbered(n, ann, identity.NodeID{8, flooder}, saf.High, 10)); slices.ContainsFunc(gone, func(seq uint64) bool { return seq <= 2 }) {
					t.Fatalf("%s: message %d of five flooders takes the place of %d", name, n, gone)
				}
				n++
			}
		}
		_, gone := mustAdd(t, x, begin, numbered(n, ann, west, saf.High, 10))
		if len(gone) != 1 || gone[0] <= 2 {
			t.Errorf("%s: got %d that make way for one that brings little, want one of a flooder", name, gone)
		}
		if s := x.Stats(); s.Messages != 20 || s.DestinationEvicted < 150 {
			t.Errorf("%s: got %+v, want the destination full", name, s)
		}
	}
}

// TestTwoLimitsAtOnce: one message is over the limit of its destination, of its source
// and of all, by bytes; each record that makes way counts for all three.
func TestTwoLimitsAtOnce(t *testing.T) {
	l := limited(func(l *saf.Limits) { l.Bytes, l.SourceBytes, l.DestinationBytes = 100, 80, 60 })
	x := saf.NewIndex(l)
	mustAdd(t, x, begin, numbered(1, ben, west, saf.High, 20))
	mustAdd(t, x, begin, numbered(2, ann, east, saf.High, 30))
	mustAdd(t, x, begin, numbered(3, ann, east, saf.High, 30))
	mustAdd(t, x, begin, numbered(4, ben, east, saf.High, 20))
	_, gone := mustAdd(t, x, begin, numbered(5, ann, east, saf.High, 60))
	wantSeqs(t, "all of the destination", gone, 2, 3)
	if s := x.Stats(); s.Bytes != 100 || s.Evicted+s.SourceEvicted != 0 {
		t.Errorf("got %+v, want 100 bytes", s)
	}
	if _, _, why := x.Add(begin, numbered(6, ann, east, saf.High, 61)); why != saf.DestinationFull {
		t.Errorf("a message larger than a limit: got %v, want %v", why, saf.DestinationFull)
	}
	if s := x.Stats(); s.Messages != 3 {
		t.Errorf("a refusal removed something: %+v", s)
	}
}

// TestLoadedOverTheLimits: records that the disk has beyond limits that have become less
// are to be deleted.
func TestLoadedOverTheLimits(t *testing.T) {
	x := saf.NewIndex(limited(func(l *saf.Limits) { l.Messages, l.DestinationMessages = 3, 2 }))
	var gone []uint64
	for i, r := range []saf.Record{
		numbered(1, ann, east, saf.High, 1), numbered(2, ann, east, saf.Low, 1), numbered(3, ann, east, saf.High, 1),
		numbered(4, ben, east, saf.High, 1), numbered(5, identity.NodeID{3}, east, saf.Low, 1), numbered(6, ben, east, saf.High, 1),
	} {
		r.Seq = uint64(i) + 10
		gone = append(gone, x.Load(begin, begin, r)...)
	}
	wantSeqs(t, "to delete", gone, 11, 14, 10)
	if ref, _ := mustAdd(t, x, begin, numbered(7, ben, east, saf.High, 1)); ref.Seq != 16 {
		t.Errorf("got number %d after the loaded ones, want 16", ref.Seq)
	}
}

// TestAnswerIsForItsRequester: of the requester's own messages the oldest, at most as many
// as it and the limits allow, listed newest first; `since` leaves out older ones and
// removes nothing.
//
// conforms: dht 98, 100
func TestAnswerIsForItsRequester(t *testing.T) {
	x := saf.NewIndex(limited(func(l *saf.Limits) { l.Answer = 4 }))
	for i := range 6 {
		r := numbered(i, ann, east, []saf.Priority{saf.High, saf.Low}[i%2], 100)
		r.StoredAt += int64(i)
		mustAdd(t, x, begin, r)
	}
	mustAdd(t, x, begin, numbered(100, ben, east, saf.High, 100))
	at := uint64(begin.Unix())
	for _, c := range []struct {
		name  string
		to    identity.NodeID
		q     wire.StoredRequest
		bytes int64
		want  []uint64
	}{
		{"own maximum", ann, wire.StoredRequest{}, 1 << 20, []uint64{4, 3, 2, 1}},
		{"above it", ann, wire.StoredRequest{Limit: 1000}, 1 << 20, []uint64{4, 3, 2, 1}},
		{"limit", ann, wire.StoredRequest{Limit: 2}, 1 << 20, []uint64{2, 1}},
		{"bytes", ann, wire.StoredRequest{}, 399, []uint64{3, 2, 1}},
		{"since", ann, wire.StoredRequest{Since: at + 2}, 1 << 20, []uint64{6, 5, 4}},
		{"since in the future", ann, wire.StoredRequest{Since: at + 1000}, 1 << 20, nil},
		{"another", ben, wire.StoredRequest{}, 1 << 20, []uint64{7}},
		{"somebody without messages", east, wire.StoredRequest{}, 1 << 20, nil},
	} {
		wantSeqs(t, c.name, seqs(x.Answer(begin, c.to, c.q, c.bytes)), c.want...)
	}
	if s := x.Stats(); s.Messages != 7 {
		t.Errorf("got %d messages after requests, want all 7", s.Messages)
	}
}

// TestAnswersDrain: each answer has what was not confirmed, the oldest first, until nothing
// is left. What was not confirmed comes again at once.
//
// conforms: dht 98
func TestAnswersDrain(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	const all = 120
	for i := range all {
		mustAdd(t, x, begin, numbered(i, ann, east, saf.High, 100))
	}
	var got []uint64
	for answer := 0; ; answer++ {
		items := x.Answer(begin, ann, wire.StoredRequest{}, 1<<20)
		wantSeqs(t, "not confirmed", seqs(x.Answer(begin, ann, wire.StoredRequest{}, 1<<20)), seqs(items)...)
		if len(items) == 0 {
			break
		}
		list := seqs(items)
		slices.Reverse(list)
		got = append(got, list...)
		x.Confirmed(begin, refs(items))
	}
	if len(got) != all || !slices.IsSorted(got) {
		t.Errorf("got %d messages, in order: %v, want %d", len(got), slices.IsSorted(got), all)
	}
}

// TestRepeats: a message that was confirmed is repeated a minute after its last
// confirmation, in a fifth of the answer or in what is left of it, until its grace is over.
func TestRepeats(t *testing.T) {
	x := saf.NewIndex(limited(func(l *saf.Limits) { l.Answer = 10 }))
	for i := range 10 {
		mustAdd(t, x, begin, numbered(i, ann, east, saf.High, 1))
	}
	ask := func(after time.Duration) []saf.Item {
		return x.Answer(begin.Add(after), ann, wire.StoredRequest{}, 1<<20)
	}
	first := ask(0)
	x.Confirmed(begin, refs(first))
	wantSeqs(t, "too early", seqs(ask(saf.RepeatAfter-1)))
	wantSeqs(t, "repeated", seqs(ask(saf.RepeatAfter)), seqs(first)...)
	for i := range 20 {
		mustAdd(t, x, begin, numbered(100+i, ann, east, saf.High, 1))
	}
	now := saf.RepeatAfter
	items := ask(now)
	wantSeqs(t, "a fifth", seqs(items), 18, 17, 16, 15, 14, 13, 12, 11, 2, 1)
	changed := x.Confirmed(begin.Add(now), refs(items))
	if len(changed) != 10 || x.Sent(changed[0]) != 2 || x.Sent(changed[9]) != 1 {
		t.Errorf("got %v changed, want the two repeats confirmed twice", changed)
	}
	items = ask(now)
	wantSeqs(t, "the next", seqs(items), 26, 25, 24, 23, 22, 21, 20, 19, 4, 3)
	x.Confirmed(begin.Add(now), refs(items))
	wantSeqs(t, "what is left", seqs(ask(now)), 30, 29, 28, 27, 10, 9, 8, 7, 6, 5)
	now = 2 * saf.RepeatAfter
	items = ask(now)
	wantSeqs(t, "those that have waited longest", seqs(items), 30, 29, 28, 27, 10, 9, 8, 7, 6, 5)
	x.Confirmed(begin.Add(now), refs(items))
	items = ask(now)
	wantSeqs(t, "a third time", seqs(items), 18, 17, 16, 15, 14, 13, 12, 11, 2, 1)
	if changed = x.Confirmed(begin.Add(now), refs(items)); len(changed) != 8 || changed[0].Seq != 11 {
		t.Errorf("got %v changed, want those confirmed for the second time", changed)
	}
	wantSeqs(t, "the grace of 1 to 10 is over", seqs(ask(saf.LeastGrace)), 28, 27, 26, 25, 24, 23, 22, 21, 20, 19)
	wantSeqs(t, "deleted", x.Expire(begin.Add(saf.LeastGrace), 100), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
}

// TestRepeatsUntilTheGraceIsOver: a requester gets a message at each request a minute after
// the last answer, and its confirmations do not prolong the grace. After a restart the
// grace begins anew.
func TestRepeatsUntilTheGraceIsOver(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	mustAdd(t, x, begin, numbered(1, ann, east, saf.Low, 1))
	answers := func() (minutes []uint64) {
		for minute := range uint64(10) {
			now := begin.Add(time.Duration(minute) * time.Minute)
			if items := x.Answer(now, ann, wire.StoredRequest{}, 1<<20); len(items) > 0 {
				minutes = append(minutes, minute)
				x.Confirmed(now, refs(items))
			}
		}
		return minutes
	}
	wantSeqs(t, "answers at the minutes", answers(), 0, 1, 2, 3, 4)
	wantSeqs(t, "after the grace", x.Expire(begin.Add(saf.LeastGrace), 10), 1)

	for sent := range uint8(4) {
		x = saf.NewIndex(saf.Default())
		r := numbered(1, ann, east, saf.Low, 1)
		r.Seq, r.Sent = 1, sent+1
		x.Load(begin, begin, r)
		wantSeqs(t, "loaded: answers at the minutes", answers(), 1, 2, 3, 4)
		wantSeqs(t, "loaded: after the grace", x.Expire(begin.Add(saf.LeastGrace), 10), 1)
	}
}

// TestLargeMessageDoesNotBlock: what is larger than any answer is left out.
func TestLargeMessageDoesNotBlock(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	mustAdd(t, x, begin, numbered(1, ann, east, saf.High, 5000))
	mustAdd(t, x, begin, numbered(2, ann, east, saf.High, 10))
	wantSeqs(t, "answer", seqs(x.Answer(begin, ann, wire.StoredRequest{}, 1000)), 2)
}

// TestPurge removes the messages for a destination, or all, in portions.
func TestPurge(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	for i := range 5 {
		mustAdd(t, x, begin, numbered(i, ann, east, saf.High, 1))
		mustAdd(t, x, begin, numbered(100+i, ben, east, saf.High, 1))
	}
	wantSeqs(t, "the first portion", x.Purge(ann, 3), 1, 3, 5)
	wantSeqs(t, "the rest", x.Purge(ann, 3), 7, 9)
	wantSeqs(t, "nothing", x.Purge(ann, 3))
	wantSeqs(t, "all", x.PurgeAll(100), 2, 4, 6, 8, 10)
	if s := x.Stats(); s.Messages != 0 || s.Bytes != 0 || s.Destinations != 0 || s.Sources != 0 || s.Removed != 10 {
		t.Errorf("got %+v, want an empty index", s)
	}
}

// TestStaleNames: a name of a record that is gone names nothing, even if its place was
// given to another one.
func TestStaleNames(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	old, _ := mustAdd(t, x, begin, numbered(1, ann, east, saf.High, 1))
	x.Remove(old)
	mustAdd(t, x, begin, numbered(2, ann, east, saf.High, 1))
	if known := x.Confirmed(begin, []saf.Ref{old, {}, {Seq: 2}}); len(known) != 0 || x.Remove(old) || x.Sent(old) != 0 {
		t.Errorf("got %v known, want none", known)
	}
	if x.Stats().Delivered != 0 {
		t.Error("another record was confirmed")
	}
}

// TestLargestShares lists who has most.
func TestLargestShares(t *testing.T) {
	x := saf.NewIndex(saf.Default())
	for i := range 200 {
		mustAdd(t, x, begin, numbered(i, identity.NodeID{1, byte(i)}, east, saf.High, 1000+i))
	}
	got := x.Destinations(3)
	want := []saf.Share{{identity.NodeID{1, 199}, 1, 1199}, {identity.NodeID{1, 198}, 1, 1198}, {identity.NodeID{1, 197}, 1, 1197}}
	if !slices.Equal(got, want) {
		t.Errorf("destinations: got %v, want %v", got, want)
	}
}
