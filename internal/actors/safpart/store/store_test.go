package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// envelope returns the text that stands for a message's envelope.
func envelope(seq uint64) []byte { return fmt.Appendf(nil, "envelope %d", seq) }

func message(seq uint64) store.Message {
	return store.Message{Record: saf.Record{
		Seq: seq, Hash: wire.Hash{byte(seq), 1}, Destination: identity.NodeID{byte(seq), 2}, Source: identity.NodeID{byte(seq), 3},
		StoredAt: 1_700_000_000 + int64(seq), Size: saf.Size(len(envelope(seq))), Priority: []saf.Priority{saf.Low, saf.High}[seq%2],
	}, Envelope: envelope(seq)}
}

func messages(seqs ...uint64) (list []store.Message) {
	for _, seq := range seqs {
		list = append(list, message(seq))
	}
	return list
}

func open(t *testing.T, disk kv.Client) *store.Store {
	t.Helper()
	s, err := store.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// load returns what the store has as one line: "1 2×1 5", where ×1 is a confirmation.
func load(t *testing.T, s *store.Store) (text string, l store.Loaded) {
	t.Helper()
	var b bytes.Buffer
	l, err := s.Load(func(r saf.Record) {
		want := message(r.Seq).Record
		if want.Sent = r.Sent; r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}
		if fmt.Fprintf(&b, " %d", r.Seq); r.Sent > 0 {
			fmt.Fprintf(&b, "×%d", r.Sent)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), l
}

// round loads the store and returns the number that writes need.
func round(t *testing.T, s *store.Store) uint64 {
	_, l := load(t, s)
	return l.Round
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantLoaded(t *testing.T, what string, s *store.Store, want string) store.Loaded {
	t.Helper()
	got, l := load(t, s)
	if got != want {
		t.Errorf("%s: got%s, want%s", what, got, want)
	}
	return l
}

// TestStore: what was written is loaded again, in order, with its confirmations, without
// what was deleted.
func TestStore(t *testing.T) {
	db := kv.Memory()
	s := open(t, db.Client())
	r := round(t, s)
	must(t, s.Write(&store.Batch{Round: r, Add: messages(1, 2, 300, 70_000)}, false))
	must(t, s.Write(&store.Batch{Round: r, Confirm: []store.Confirmation{{Seq: 1, Sent: 1}, {Seq: 300, Sent: 1}}}, false))
	must(t, s.Write(&store.Batch{Round: r, Confirm: []store.Confirmation{{Seq: 1, Sent: 2}}, Delete: []uint64{2}, Add: messages(3)}, false))
	must(t, s.Write(&store.Batch{Round: r, Add: messages(4), Delete: []uint64{4, 300}}, false))
	for _, s := range []*store.Store{s, open(t, db.Client())} {
		l := wantLoaded(t, "loaded", s, " 1×2 3 70000")
		if l.Messages != 3 || l.Damaged != 0 || l.Next != 70_001 {
			t.Errorf("got %+v, want 3 messages, next 70001", l)
		}
	}
	got, err := s.Envelopes([]uint64{70_000, 2, 1})
	if err != nil || !bytes.Equal(got[0], envelope(70_000)) || got[1] != nil || !bytes.Equal(got[2], envelope(1)) {
		t.Errorf("got %q, %v, want the first and the last", got, err)
	}
	for _, entry := range kvtest.All(t, db, "") { // nothing is left of what was deleted
		for _, seq := range []string{"\x00\x02", "\x00\x04", "\x01\x2c"} {
			if bytes.Contains([]byte(entry), append([]byte{0, 0, 0, 0, 0, 0}, seq...)) {
				t.Errorf("got entry %q of a deleted message", entry)
			}
		}
	}
}

// TestNumbersAreNotUsedAgain: in one process no number is given out twice, although the
// message that had it is gone.
func TestNumbersAreNotUsedAgain(t *testing.T) {
	s := open(t, kv.Memory().Client())
	must(t, s.Write(&store.Batch{Round: round(t, s), Add: messages(8)}, false))
	must(t, s.Write(&store.Batch{Round: round(t, s), Delete: []uint64{8}}, false))
	if l := wantLoaded(t, "deleted", s, ""); l.Next != 9 {
		t.Errorf("got %d as next number, want 9", l.Next)
	}
}

// TestSuperseded: a write of an actor that has ended does not change what the next one has
// loaded.
func TestSuperseded(t *testing.T) {
	s := open(t, kv.Memory().Client())
	old := round(t, s)
	now := round(t, s)
	if err := s.Write(&store.Batch{Round: old, Add: messages(1)}, true); !errors.Is(err, store.ErrSuperseded) {
		t.Errorf("got %v, want ErrSuperseded", err)
	}
	must(t, s.Write(&store.Batch{Round: now, Add: messages(2)}, true))
	wantLoaded(t, "loaded", s, " 2")
}

// TestSchemas refuses newer and unreadable stores, and leaves them as they are.
func TestSchemas(t *testing.T) {
	for _, c := range []struct {
		meta string
		want error
	}{{"\x01", nil}, {"\x02", nil}, {"\x03", store.ErrNewer}, {"\x03new", store.ErrNewer}, {"\x00", kv.ErrCorrupt}, {"", kv.ErrCorrupt}, {"\x01x", kv.ErrCorrupt}} {
		db := kv.Memory()
		kvtest.Set(t, db, "sm", c.meta)
		if _, err := store.Open(db.Client()); !errors.Is(err, c.want) {
			t.Errorf("schema %q: got %v, want %v", c.meta, err, c.want)
		}
		var check store.Checker
		check.Visit([]byte("sm"), []byte(c.meta))
		if _, err := check.Report(); !errors.Is(err, c.want) {
			t.Errorf("schema %q: check got %v, want %v", c.meta, err, c.want)
		}
	}
	db := kv.Memory()
	s := open(t, db.Client())
	must(t, s.Write(&store.Batch{Round: round(t, s), Add: messages(1)}, true))
	if got, err := db.Get([]byte("sm")); err != nil || string(got) != "\x02" {
		t.Errorf("got schema %q, %v, want it written with the first message", got, err)
	}
}

// TestDamagedEntries: entries that cannot be read are deleted, with what belongs to them;
// the others are loaded.
func TestDamagedEntries(t *testing.T) {
	db := kv.Memory()
	s := open(t, db.Client())
	must(t, s.Write(&store.Batch{Round: round(t, s), Add: messages(1, 2, 3), Confirm: []store.Confirmation{{Seq: 1, Sent: 1}}}, true))
	before := kvtest.All(t, db, "")
	head, err := db.Get([]byte("sh\x00\x00\x00\x00\x00\x00\x00\x01"))
	must(t, err)
	for key, value := range map[string]string{
		"sh\x00\x00\x00\x00\x00\x00\x00\x07":     "short",
		"\xffsb\x00\x00\x00\x00\x00\x00\x00\x07": "its envelope",
		"sh\x00\x00\x00\x00\x00\x00\x00\x08":     string(head[:len(head)-1]) + "\x05", // no priority
		"sh\x00":                                 string(head),
		"sh\x00\x00\x00\x00\x00\x00\x00\x00":     string(head),
		"sc\x00\x00\x00\x00\x00\x00\x00\x02":     "\x00",
		"sc\x00\x00\x00\x00\x00\x00\x00\x03":     "\x01\x01",
		"sc\x00\x00\x00\x00\x00\x00\x00\x09":     "\x01", // of no message
	} {
		kvtest.Set(t, db, key, value)
	}
	if l := wantLoaded(t, "loaded", open(t, db.Client()), " 1×1 2 3"); l.Damaged != 4 || l.Messages != 3 {
		t.Errorf("got %+v, want 4 damaged", l)
	}
	if got := kvtest.All(t, db, ""); !slices.Equal(got, before) {
		t.Errorf("got entries %q, want %q", got, before)
	}
}

// TestTailIsBounded: many deletions without a sync are synced at last, and a failed disk
// does not make the memory grow without bound.
func TestTailIsBounded(t *testing.T) {
	refusing := &kvtest.Refusing{DB: kv.Memory()}
	s := open(t, refusing)
	r := round(t, s)
	seqs := make([]uint64, 1000)
	for i := range seqs {
		seqs[i] = uint64(i) + 1
	}
	for range 100 {
		must(t, s.Write(&store.Batch{Round: r, Delete: seqs}, false))
		if n := s.Stats().Owed; n > 1<<14 {
			t.Fatalf("got %d changes that are not synced, want at most %d", n, 1<<14)
		}
	}
	refusing.Set(kv.ErrFailed)
	for range 300 {
		if err := s.Write(&store.Batch{Round: r, Delete: seqs}, false); !errors.Is(err, kv.ErrFailed) {
			t.Fatalf("got %v, want ErrFailed", err)
		}
	}
	if st := s.Stats(); st.Owed > 1<<18 || st.Forgotten == 0 {
		t.Errorf("got %+v, want at most %d owed, and the rest counted", st, 1<<18)
	}
}

// TestVisitsOnDisk: visits are on the disk until they are deleted, beside what an earlier release
// has written.
func TestVisitsOnDisk(t *testing.T) {
	db := kv.Memory()
	kvtest.Set(t, db, "sm", "\x01")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	visits := []saf.Visit{
		{Peer: identity.NodeID{1}, Source: share.Exempt, Client: true, At: at},
		{Peer: identity.NodeID{2}, Dialled: true, At: at.Add(time.Hour)},
		{Peer: identity.NodeID{3}, Source: 1 << 40, Served: true, At: at},
	}
	s := open(t, db.Client())
	must(t, s.Write(&store.Batch{Round: round(t, s), Visits: visits}, false))
	if got, err := db.Get([]byte("sm")); err != nil || string(got) != "\x02" {
		t.Errorf("got schema %q, %v, want that of this release", got, err)
	}
	s = open(t, db.Client())
	l, err := s.Load(func(saf.Record) {})
	must(t, err)
	for i := range l.Visits {
		l.Visits[i].At = l.Visits[i].At.UTC()
	}
	if !slices.Equal(l.Visits, visits) {
		t.Errorf("got %+v, want %+v", l.Visits, visits)
	}
	must(t, s.Write(&store.Batch{Round: l.Round, Left: []identity.NodeID{{1}, {2}}}, false))
	kvtest.Set(t, db, "sv short", "damaged")
	l, err = open(t, db.Client()).Load(func(saf.Record) {})
	if err != nil || len(l.Visits) != 1 || l.Visits[0].Peer != visits[2].Peer {
		t.Errorf("got %+v, %v, want the last one", l.Visits, err)
	}
	if _, err := db.Get([]byte("sv short")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %v, want the damaged entry deleted", err)
	}
}

// TestHeadsOfSchema1: messages that an earlier release has stored are loaded, and count for the
// peer that brought them; those of this release say where it was connected from.
func TestHeadsOfSchema1(t *testing.T) {
	db := kv.Memory()
	s := open(t, db.Client())
	m := message(1)
	m.From, m.Last = 1<<40, true
	must(t, s.Write(&store.Batch{Round: round(t, s), Add: []store.Message{m, message(2)}}, true))
	head, err := db.Get([]byte("sh\x00\x00\x00\x00\x00\x00\x00\x02"))
	must(t, err)
	kvtest.Set(t, db, "sm", "\x01")
	kvtest.Set(t, db, "sh\x00\x00\x00\x00\x00\x00\x00\x02", string(head[:len(head)-9]))
	var got []saf.Record
	l, err := open(t, db.Client()).Load(func(r saf.Record) { got = append(got, r) })
	if err != nil || l.Damaged != 0 || !slices.Equal(got, []saf.Record{m.Record, message(2).Record}) {
		t.Errorf("got %+v, %v, want both messages, the second without a source", got, err)
	}
}
