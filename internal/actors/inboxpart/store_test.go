package inboxpart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// faultyDisk is a store in memory whose disk can fail, and which forgets then
// what was not synced.
type faultyDisk struct {
	mu sync.Mutex
	kv.DB
	synced [][2]string // as it is on the disk
	fails  bool
	news   int    // openings that this client has not heard of
	marks  func() // called before marks are written; nil: nothing is
	syncs  int
}

func newFaultyDisk() *faultyDisk { return &faultyDisk{DB: kv.Memory()} }

func (d *faultyDisk) Get(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.DB.Get(key)
}

func (d *faultyDisk) ScanFrom(prefix, first []byte) (iter.Seq2[[]byte, []byte], func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.DB.ScanFrom(prefix, first)
}

func (d *faultyDisk) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = true
}

func (d *faultyDisk) Apply(b *kv.Batch, sync bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.fails:
		return kv.ErrFailed
	case d.news > 0:
		d.news--
		return kv.ErrReopened
	}
	err := d.DB.Apply(b, sync)
	if sync {
		d.syncs++
		d.synced = nil
		for _, p := range []byte{keyMeta, keyMessage, keySender} {
			entries, _ := d.DB.Scan([]byte{keyPrefix, p})
			for k, v := range entries {
				d.synced = append(d.synced, [2]string{string(k), string(v)})
			}
		}
	}
	return err
}

// reopen forgets what was not synced, as a disk that failed and works again.
func (d *faultyDisk) reopen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.DB = kv.Memory()
	b := new(kv.Batch)
	for _, e := range d.synced {
		b.Set([]byte(e[0]), []byte(e[1]))
	}
	d.DB.Apply(b, true)
	d.fails, d.news = false, 1
}

// wrote is write for who does not ask whether it has synced.
func (s *store) wrote(changes []change, sync bool) error {
	_, err := s.write(changes, sync)
	return err
}

func record(n uint64) []byte {
	return appendRecord(nil, &KeptMessage{At: time.Unix(int64(n), 0), Body: fmt.Append(nil, "body ", n)})
}

func stored(t *testing.T, s *store) (seqs []uint64) {
	t.Helper()
	l, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.entries {
		seqs = append(seqs, e.seq)
	}
	return seqs
}

// TestStoreOfADiskThatHeals: what was written without a sync is written again
// when the store was opened anew, and what was deleted is deleted again.
func TestStoreOfADiskThatHeals(t *testing.T) {
	d := newFaultyDisk()
	s, err := openStore(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opened := d.syncs
	must(s.wrote([]change{{seq: 1, record: record(1)}, {seq: 2, record: record(2)}}, false)) // synced: it sets numbers aside
	must(s.wrote([]change{{seq: 3, record: record(3)}, {seq: 1}}, false))
	if d.syncs != opened+1 {
		t.Fatalf("got %d syncs, want the one that sets numbers aside", d.syncs)
	}
	d.fail()
	if err := s.wrote([]change{{seq: 4, record: record(4)}}, false); !errors.Is(err, kv.ErrFailed) {
		t.Fatalf("got %v, want ErrFailed", err)
	}
	d.reopen()
	must(s.wrote([]change{{seq: 4, record: record(4)}}, false))
	if got := fmt.Sprint(stored(t, s)); got != "[2 3 4]" {
		t.Errorf("got messages %s, want 2, 3 and 4", got)
	}
	d.reopen() // all was synced by that
	if got := fmt.Sprint(stored(t, s)); got != "[2 3 4]" || len(s.tail) != 0 {
		t.Errorf("after a second failure: got messages %s, %d unsynced, want 2, 3 and 4, none", got, len(s.tail))
	}
}

// TestStoreReadsWhatADiskHasLost: between the opening anew of the store, by
// whichever client, and the next write of the inbox, a message that was written
// without a sync is read from memory. One that was deleted is not.
func TestStoreReadsWhatADiskHasLost(t *testing.T) {
	d := newFaultyDisk()
	s, err := openStore(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, changes := range [][]change{{{seq: 1, record: record(1)}}, {{seq: 2, record: record(2)}, {seq: 3, record: record(3)}}, {{seq: 3}}} {
		if err := s.wrote(changes, false); err != nil {
			t.Fatal(err)
		}
	}
	d.reopen()
	for _, when := range []string{"before", "after"} {
		for _, seq := range []uint64{1, 2} {
			if m, err := s.read(seq); err != nil || m.Seq != seq || string(m.Body) != fmt.Sprint("body ", seq) {
				t.Errorf("%s the next write: message %d: got %q, %v, want its body", when, seq, m.Body, err)
			}
		}
		if _, err := s.read(3); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("%s the next write: a deleted message: got %v, want ErrNotFound", when, err)
		}
		if err := s.wrote([]change{{seq: 4, record: record(4)}}, false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoreReadsManyAtATime reads many messages, of which some are large, some were
// deleted, one is damaged and one was lost by the disk, as it reads each alone.
func TestStoreReadsManyAtATime(t *testing.T) {
	d := newFaultyDisk()
	s, err := openStore(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	var changes []change
	var all []uint64
	for seq := uint64(1); seq <= 200; seq++ {
		r := record(seq)
		if seq%50 == 0 {
			r = append(r, make([]byte, pageBytes)...)
		}
		changes = append(changes, change{seq: seq, record: r})
		if seq%3 != 0 {
			all = append(all, seq)
		}
	}
	changes[100].record = []byte("damaged")
	changes = append(changes, change{seq: 1}, change{seq: 77}, change{seq: 200})
	if err := s.wrote(changes, true); err != nil {
		t.Fatal(err)
	}
	if err := s.wrote([]change{{seq: 201, record: record(201)}}, false); err != nil {
		t.Fatal(err)
	}
	all = append(all, 201)
	d.reopen()
	i := 0
	for got, err := range s.messages(all) {
		want, wantErr := s.read(all[i])
		want.Seq = all[i]
		if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("message %d: got %d, %d bytes, %v, want %d bytes, %v", all[i], got.Seq, len(got.Body), err, len(want.Body), wantErr)
		}
		i++
	}
	if i != len(all) {
		t.Errorf("got %d messages, want %d", i, len(all))
	}
	if found := s.page(all); len(found) >= 40 || found[0].Seq != 2 {
		t.Errorf("got %d messages at a time from %d, want those up to the first large one", len(found), found[0].Seq)
	}
}

// interrupted is a disk that does something between two reads.
type interrupted struct {
	*faultyDisk
	then func()
}

func (d *interrupted) Get(key []byte) ([]byte, error) {
	value, err := d.faultyDisk.Get(key)
	if then := d.then; then != nil {
		d.then = nil
		then()
	}
	return value, err
}

// withTwo opens a store and writes two messages without a sync.
func withTwo(t *testing.T, d kv.Client) *store {
	t.Helper()
	s, err := openStore(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 2; seq++ {
		if err := s.wrote([]change{{seq: seq, record: record(seq)}}, false); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestStoreReadsWhatIsWrittenAnew: a message that is written anew just while it
// is read is found, too.
func TestStoreReadsWhatIsWrittenAnew(t *testing.T) {
	d := &interrupted{faultyDisk: newFaultyDisk()}
	s := withTwo(t, d)
	d.reopen()
	d.then = func() {
		if err := s.wrote(nil, true); err != nil {
			t.Error(err)
		}
	}
	if m, err := s.read(2); err != nil || string(m.Body) != "body 2" {
		t.Errorf("got %q, %v, want body 2", m.Body, err)
	}
}

// TestStoreIsOpenedAnewAgainAndAgain: what a failure has taken is written anew
// also when the store is opened anew more often in a row than one write repeats.
func TestStoreIsOpenedAnewAgainAndAgain(t *testing.T) {
	d := newFaultyDisk()
	s := withTwo(t, d)
	d.reopen()
	d.news = 4 // as often as kv.Reapplied tries
	if err := s.wrote([]change{{seq: 3, record: record(3)}}, false); !errors.Is(err, kv.ErrReopened) {
		t.Fatalf("got %v, want ErrReopened", err)
	}
	if err := s.wrote([]change{{seq: 3, record: record(3)}}, false); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(stored(t, s)); got != "[1 2 3]" {
		t.Errorf("got messages %s, want 1 to 3", got)
	}
}

// TestStoreNumbersAfterAKill: a number whose message a kill has taken back is not
// given again, and after an end in order there is no gap.
func TestStoreNumbersAfterAKill(t *testing.T) {
	d := newFaultyDisk()
	next := func() uint64 {
		t.Helper()
		s, err := openStore(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.load()
		if err != nil {
			t.Fatal(err)
		}
		return l.next
	}
	if got := next(); got != 1 {
		t.Errorf("at first: got number %d, want 1", got)
	}
	s, _ := openStore(d, nil)
	if err := errors.Join(s.wrote([]change{{seq: 1, record: record(1)}}, false), s.wrote([]change{{seq: 2, record: record(2)}}, false)); err != nil {
		t.Fatal(err)
	}
	d.reopen() // the second is lost
	d.news = 0
	if got := next(); got <= 2 {
		t.Errorf("after a kill: got number %d, want one above 2", got)
	}
	s, _ = openStore(d, nil)
	if err := s.end([]change{{seq: 70_000, record: record(7)}}, 70_001); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != 70_001 {
		t.Errorf("after an end in order: got number %d, want 70001", got)
	}
}

// TestStoreTailIsBounded: what is not synced is bounded, whatever the caller
// asks for.
func TestStoreTailIsBounded(t *testing.T) {
	d := newFaultyDisk()
	s, _ := openStore(d, nil)
	big := bytes.Repeat([]byte{1}, 3<<20)
	for i := range uint64(20) {
		if err := s.wrote([]change{{seq: i + 1, record: big}}, false); err != nil {
			t.Fatal(err)
		}
		if s.tailSize > tailBytes {
			t.Fatalf("got %d bytes unsynced, want at most %d", s.tailSize, tailBytes)
		}
	}
	if d.syncs > 10 {
		t.Errorf("got %d syncs for 60 MB, want few", d.syncs)
	}
}

// TestStoreOfAnOlderRelease: the first write to a store of an older schema also writes the new schema,
// whatever its numbers, so that the older release refuses the store from then on.
func TestStoreOfAnOlderRelease(t *testing.T) {
	for _, seq := range []uint64{5, 70_000} {
		d := newFaultyDisk()
		b := new(kv.Batch)
		b.Set([]byte{keyPrefix, keyMeta}, binary.BigEndian.AppendUint64([]byte{1}, 70_000))
		b.Set(messageKey(1), record(1))
		if err := d.Apply(b, true); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := s.load(); err != nil || l.next != 70_000 || len(l.entries) != 1 {
			t.Fatalf("got %+v, %v, want one message and the next number 70000", l, err)
		}
		r := appendRecord(nil, &KeptMessage{DHT: &actors.OverDHT{Stored: true}})
		if err := s.wrote([]change{{seq: seq, record: r}}, false); err != nil {
			t.Fatal(err)
		}
		d.reopen() // a loss of power
		if value, err := d.Get([]byte{keyPrefix, keyMeta}); err != nil || value[0] != Schema {
			t.Errorf("message %d: got head %v, %v, want schema %d", seq, value, err, Schema)
		}
		if _, err := d.Get(messageKey(seq)); err != nil {
			t.Errorf("message %d: got %v, want it with the new schema", seq, err)
		}
	}
}

func TestStoreOfANewerRelease(t *testing.T) {
	d := newFaultyDisk()
	b := new(kv.Batch)
	b.Set([]byte{keyPrefix, keyMeta}, append([]byte{Schema + 1}, 1, 2, 3))
	d.Apply(b, true)
	if _, err := openStore(d, nil); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
	var c Checker
	c.Visit([]byte{keyPrefix, keyMeta}, []byte{Schema + 1})
	if _, err := c.Report(); !errors.Is(err, ErrNewer) {
		t.Errorf("dry run: got %v, want ErrNewer", err)
	}
	for _, bad := range []string{"", "\x00", "\x01", "\x01123"} {
		b := new(kv.Batch)
		b.Set([]byte{keyPrefix, keyMeta}, []byte(bad))
		d.Apply(b, true)
		if _, err := openStore(d, nil); !errors.Is(err, kv.ErrCorrupt) {
			t.Errorf("head %q: got %v, want ErrCorrupt", bad, err)
		}
	}
}

// TestStoreWithDamage: a record that cannot be read is counted and left alone.
func TestStoreWithDamage(t *testing.T) {
	d := newFaultyDisk()
	s, _ := openStore(d, nil)
	if err := s.wrote([]change{{seq: 1, record: record(1)}, {seq: 2, record: []byte{0xff}}, {seq: 3, record: record(3)}}, true); err != nil {
		t.Fatal(err)
	}
	l, err := s.load()
	if err != nil || len(l.entries) != 2 || l.damaged != 1 {
		t.Errorf("got %+v, %v, want two messages and a damaged record", l, err)
	}
	var c Checker
	for _, e := range d.synced {
		c.Visit([]byte(e[0]), []byte(e[1]))
	}
	if r, err := c.Report(); err != nil || r.Messages != 2 || r.Damaged != 1 || r.Schema != Schema || r.Bytes == 0 {
		t.Errorf("dry run: got %+v, %v, want two messages and a damaged record", r, err)
	}
}

func TestRecords(t *testing.T) {
	at := time.Unix(1_700_000_000, 5)
	key := identity.PublicKey{1, 2, 3}
	for _, m := range []KeptMessage{
		{At: at, Peer: identity.NodeID{9}, From: key, Body: []byte("plain")},
		{At: at, Peer: identity.NodeID{9}, From: key, Body: []byte{}},
		{At: at, Peer: identity.NodeID{9}, From: key, ID: actors.MessageID{Epoch: 1 << 63, Number: 2}, Body: []byte("once")},
		{At: at, Peer: identity.NodeID{9}, Body: []byte("far"), DHT: &actors.OverDHT{Type: -5, Tag: 1 << 63, Copies: 7}},
		{At: at, Peer: identity.NodeID{9}, Body: []byte("far"), DHT: &actors.OverDHT{Copies: 1, Stored: true}},
		{At: at, Peer: identity.NodeID{9}, Body: []byte("far"), DHT: &actors.OverDHT{Copies: 1, Expires: 1 << 40, Destination: identity.PublicKey{7}}},
		{At: at, Peer: identity.NodeID{9}, From: key, Body: []byte("far"), DHT: &actors.OverDHT{Type: 1225, Encrypted: true, Destination: identity.PublicKey{7}, Copies: 1}},
	} {
		b := appendRecord(nil, &m)
		if len(b) > len(m.Body)+Overhead {
			t.Errorf("got a record of %d bytes for a body of %d, want at most %d more", len(b), len(m.Body), Overhead)
		}
		got, err := decodeRecord(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, %v, want %+v", got, err, m)
		}
		head := len(b) - len(m.Body)
		for n := range head {
			if _, err := decodeRecord(b[:n]); err == nil {
				t.Errorf("%d of %d bytes of a head: got no error", n, head)
			}
		}
	}
	if _, err := decodeRecord([]byte(strings.Repeat("\xff", 100))); err == nil {
		t.Error("unknown flags: got no error")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(record(1))
	f.Add([]byte(strings.Repeat("\x0f", 120)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeRecord(b)
		if err != nil {
			return
		}
		back, err := decodeRecord(appendRecord(nil, &m))
		if err != nil || !reflect.DeepEqual(back, m) && !m.At.Equal(back.At) {
			t.Errorf("got %+v, %v, want %+v", back, err, m)
		}
	})
}
