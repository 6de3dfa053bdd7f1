package storypart

import (
	"errors"
	"fmt"
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
