package storypart

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

func openRecord(t *testing.T, db kv.DB) *Record {
	t.Helper()
	r, err := OpenRecord(db)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func selected(t *testing.T, r *Record, q inspect.EventQuery) models.Events {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100_000
	}
	all, err := r.Select(&q)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func addMany(r *Record, from, n int) {
	for i := from; i < from+n; i++ {
		r.add(time.Now(), models.Event{Type: models.ConnOpened, Peer: fmt.Sprintf("%04x", i), What: fmt.Sprint(i)})
	}
}

// TestRecordOverStarts: events are there after a stop, and after a kill all but those that were not written.
func TestRecordOverStarts(t *testing.T) {
	db := kv.Memory()
	defer db.Close()
	r := openRecord(t, db)
	addMany(r, 0, 10)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = openRecord(t, db)
	addMany(r, 10, 5)
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	addMany(r, 15, 3) // lost at a kill
	seen := selected(t, r, inspect.EventQuery{})
	if len(seen.Events) != 18 || seen.Events[17].ID != "2.18" {
		t.Fatalf("got %d events, the last %+v", len(seen.Events), seen.Events[len(seen.Events)-1])
	}
	r = openRecord(t, db)
	addMany(r, 100, 1)
	all := selected(t, r, inspect.EventQuery{})
	if len(all.Events) != 16 || all.Events[14].What != "14" || all.Events[15].ID != "3.16" {
		t.Errorf("got %+v", all.Events)
	}
	// A client that has seen the lost ones goes on, and misses nothing.
	after := selected(t, r, inspect.EventQuery{Since: seen.Next})
	if len(after.Events) != 1 || after.Events[0].What != "100" || after.Lost != 0 {
		t.Errorf("after a kill: got %+v, want the new event", after)
	}
}

// TestRecordIsBounded: the oldest events go, and whoever asks for them hears how many.
func TestRecordIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		db   kv.DB
		kept int
	}{"memory": {nil, inMemory}, "disk": {kv.Memory(), onDisk}} {
		r := openRecord(t, c.db)
		first := ""
		const more = 500
		for i := range c.kept + more {
			addMany(r, i, 1)
			if i == 0 {
				first = selected(t, r, inspect.EventQuery{}).Events[0].ID
			}
			if c.db != nil && i%inMemory == inMemory/2 {
				if err := r.write(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := r.Close(); err != nil && c.db != nil {
			t.Fatal(err)
		}
		all := selected(t, r, inspect.EventQuery{Since: first})
		if len(all.Events) != c.kept || all.Lost != more-1 {
			t.Errorf("%s: got %d events and %d lost, want %d and %d", name, len(all.Events), all.Lost, c.kept, more-1)
		}
		for i, e := range all.Events {
			if e.What != fmt.Sprint(i+more) {
				t.Fatalf("%s: event %d is %+v", name, i, e)
			}
		}
		if c.db == nil {
			continue
		}
		entries, failed := c.db.Client().Scan([]byte{kv.Bulk, keyPrefix})
		n := 0
		for range entries {
			n++
		}
		if n != onDisk || failed() != nil {
			t.Errorf("got %d events on the disk, want %d", n, onDisk)
		}
	}
}

// TestRecordSelects: pages, peers, types and times.
func TestRecordSelects(t *testing.T) {
	r := openRecord(t, nil)
	addMany(r, 0, 300)
	r.add(time.Now(), models.Event{Type: models.NodeOffline, What: "offline"})
	if got := selected(t, r, inspect.EventQuery{Limit: 2}).Events; len(got) != 2 || got[1].What != "offline" || got[0].What != "299" {
		t.Errorf("the last two: got %+v", got)
	}
	if got := selected(t, r, inspect.EventQuery{Types: []string{"node"}}).Events; len(got) != 1 {
		t.Errorf("of the node: got %+v", got)
	}
	if got := selected(t, r, inspect.EventQuery{Peer: "0010"}).Events; len(got) != 1 || got[0].What != "16" {
		t.Errorf("of a peer: got %+v", got)
	}
	if got := selected(t, r, inspect.EventQuery{From: time.Now().Add(time.Hour)}).Events; len(got) != 0 {
		t.Errorf("of the future: got %+v", got)
	}
	since, n := "1.0", 0
	for {
		got := selected(t, r, inspect.EventQuery{Since: since, Limit: 100})
		if since = got.Next; len(got.Events) == 0 {
			break
		}
		n += len(got.Events)
	}
	if n != 301 {
		t.Errorf("page by page: got %d events, want 301", n)
	}
	_, err := r.Select(&inspect.EventQuery{Since: "x", Limit: 1})
	if e, ok := errors.AsType[*inspect.Error](err); !ok || e.Code != inspect.CodeBadQuery {
		t.Errorf("got %v", err)
	}
}

// faulty is a disk whose writes wait, or fail.
type faulty struct {
	kv.DB
	client faultyClient
}

type faultyClient struct {
	kv.Client
	begun, hold chan struct{} // nil: they do not wait
	fail        *error
	get         *error
}

func (f *faulty) Client() kv.Client { c := f.client; c.Client = f.DB.Client(); return c }

func (c faultyClient) Get(key []byte) ([]byte, error) {
	if c.get != nil && *c.get != nil {
		return nil, *c.get
	}
	return c.Client.Get(key)
}

func (c faultyClient) Apply(b *kv.Batch, sync bool) error {
	if c.begun != nil {
		c.begun <- struct{}{}
		<-c.hold
	}
	if c.fail != nil && *c.fail != nil {
		return *c.fail
	}
	return c.Client.Apply(b, sync)
}

// TestRecordWhileItWrites: what is being written is not missing, and two writes follow each other.
func TestRecordWhileItWrites(t *testing.T) {
	db := &faulty{DB: kv.Memory()}
	defer db.Close()
	r := openRecord(t, db)
	addMany(r, 0, 1500)
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	addMany(r, 1500, 3)
	c := r.disk.(faultyClient)
	c.begun, c.hold = make(chan struct{}), make(chan struct{})
	r.disk = c
	done := make(chan error, 2)
	go func() { done <- r.write() }()
	<-c.begun
	all := selected(t, r, inspect.EventQuery{})
	if len(all.Events) != 1003 && len(all.Events) != 1503 || all.Events[len(all.Events)-1].What != "1502" {
		t.Errorf("got %d events, the last %+v", len(all.Events), all.Events[len(all.Events)-1])
	}
	addMany(r, 1503, 1)
	go func() { done <- r.Close() }()
	c.hold <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-c.begun
	c.hold <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
	again := openRecord(t, db.DB)
	got := selected(t, again, inspect.EventQuery{}).Events
	if n := len(got); n == 0 || got[n-1].What != "1503" || got[n-1].ID != "1.1504" {
		t.Errorf("got %d events, want the last one to be 1503", n)
	}
}

// TestRecordOfAnotherHistory: an id that this node has not given out leads to the oldest events, with a
// word; an id that was lost in a crash to all that follow.
func TestRecordOfAnotherHistory(t *testing.T) {
	r := openRecord(t, nil)
	addMany(r, 0, 5)
	all := selected(t, r, inspect.EventQuery{Since: "9.500"})
	if !all.Reset || len(all.Events) != 5 {
		t.Errorf("got %+v, want the oldest, and a word", all)
	}
	db := kv.Memory()
	defer db.Close()
	r = openRecord(t, db)
	addMany(r, 0, 15)
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	openRecord(t, db) // a start without an event
	r = openRecord(t, db)
	for i := range inMemory + 3 {
		addMany(r, 100+i, 1)
		if err := r.write(); err != nil {
			t.Fatal(err)
		}
	}
	got := selected(t, r, inspect.EventQuery{Since: "1.18"}).Events // it was lost
	if len(got) != inMemory+3 || got[0].What != "100" {
		t.Errorf("got %d events from %+v, want all since the start", len(got), got[0])
	}
}

// TestRecordOverAFailedDisk: when the disk works again, it holds no more than it may; if it cannot be read
// at the start, nothing is written over what is there.
func TestRecordOverAFailedDisk(t *testing.T) {
	var fail, get error
	db := &faulty{DB: kv.Memory(), client: faultyClient{fail: &fail, get: &get}}
	defer db.Close()
	r := openRecord(t, db)
	addMany(r, 0, 100)
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	fail = errors.New("disk full")
	for i := range 30 {
		addMany(r, 100*(i+1), 100)
		if err := r.write(); err == nil {
			t.Fatal("got no error")
		}
	}
	fail = nil
	for i := range 30 {
		addMany(r, 4000+500*i, 500)
		if err := r.write(); err != nil {
			t.Fatal(err)
		}
	}
	entries, failed := db.DB.Client().Scan([]byte{kv.Bulk, keyPrefix})
	n := 0
	for range entries {
		n++
	}
	if n > onDisk || failed() != nil {
		t.Errorf("got %d events on the disk, want at most %d", n, onDisk)
	}
	last := r.kept.Last()
	get = errors.New("i/o error")
	if _, err := OpenRecord(db); err == nil {
		t.Error("got no error from a disk that cannot be read")
	}
	get = nil
	if again := openRecord(t, db); again.kept.Last().Seq != last.Seq {
		t.Errorf("got %v after a start without the disk, want %v", again.kept.Last(), last)
	}
}

// TestRecordEnds: who waits hears that the node ends.
func TestRecordEnds(t *testing.T) {
	r := openRecord(t, nil)
	addMany(r, 0, 1)
	r.End()
	if err := r.Await(context.Background(), "1.1"); !errors.Is(err, errRecordClosed) {
		t.Errorf("got %v, want %v", err, errRecordClosed)
	}
}

// TestRecordedTextIsBounded: what a peer says fills nothing, and has no control characters.
func TestRecordedTextIsBounded(t *testing.T) {
	r := openRecord(t, nil)
	long := "\x1b[31m" + strings.Repeat("x", 2<<20)
	r.add(time.Now(), models.Event{Type: models.PeerBanned, What: long, Addr: long, Data: map[string]string{"why": long}})
	e := selected(t, r, inspect.EventQuery{}).Events[0]
	for _, text := range []string{e.What, e.Addr, e.Data["why"]} {
		if len(text) > mostText || strings.ContainsRune(text, 0x1b) {
			t.Errorf("got %d bytes, %.20q", len(text), text)
		}
	}
}

// TestReader: the last events of a store that nobody uses, without what is no event.
func TestReader(t *testing.T) {
	var r Reader
	if got := r.Events(); got == nil || len(got) != 0 {
		t.Errorf("of nothing: got %v, want an empty list", got)
	}
	db := kv.Memory()
	defer db.Close()
	record := openRecord(t, db)
	const more = 1700
	for i := 0; i < inMemory+more; i += 100 {
		addMany(record, i, 100)
		if err := record.write(); err != nil {
			t.Fatal(err)
		}
	}
	entries, failed := db.Client().Scan(nil)
	for key, value := range entries {
		r.Visit(key, value)
	}
	if failed() != nil {
		t.Fatal(failed())
	}
	r.Visit([]byte{kv.Bulk, keyPrefix, 1}, []byte("damaged"))
	r.Visit([]byte{'x'}, []byte("{}"))
	got := r.Events()
	if len(got) != inMemory || got[0].What != fmt.Sprint(more) || got[inMemory-1].What != fmt.Sprint(inMemory+more-1) {
		t.Errorf("got %d events, the first %+v", len(got), got[0])
	}
}
