//go:build !nodisk

package kv

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	bulkKey  = []byte{Bulk, 'a'}
	plainKey = []byte("plain")
)

// without removes an entry from a closed store, behind its back.
func without(t *testing.T, dir string, key []byte) {
	t.Helper()
	db, err := pebble.Open(dir, options(vfs.Default, nil, &fatal{}, false))
	check(t, err)
	check(t, db.Delete(key, pebble.Sync))
	check(t, db.Close())
}

// TestBulkEntries: bulk entries are stored as any others, written again and deleted in one
// batch with them; opening the store does not miss them, and misses the others.
func TestBulkEntries(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	db, err := OpenPebble(dir)
	check(t, err)
	for _, value := range []string{"old", "new"} {
		var b Batch
		b.Set(bulkKey, []byte(value))
		b.Set([]byte{Bulk}, []byte(value))
		b.Set(plainKey, []byte(value))
		check(t, db.Apply(&b, false))
	}
	var b Batch
	b.Delete([]byte{Bulk})
	check(t, db.Apply(&b, true))
	for range 2 {
		if n := count(t, db); n != 2 {
			t.Errorf("got %d entries, want 2", n)
		}
		if got, err := db.Get(bulkKey); err != nil || string(got) != "new" {
			t.Errorf("got %q, %v, want new", got, err)
		}
		check(t, db.Close())
		db, err = OpenPebble(dir)
		check(t, err)
	}
	check(t, db.Close())

	visited := 0
	r, err := Check(dir, func(key, value []byte) {
		if bytes.Equal(key, bulkKey) && string(value) == "new" || bytes.Equal(key, plainKey) {
			visited++
		}
	})
	if err != nil || visited != 2 || r.Entries != 1 {
		t.Errorf("check: got %+v, %v, %d visited, want both, and one that is guarded", r, err, visited)
	}

	without(t, dir, bulkKey)
	db, err = OpenPebble(dir)
	if err != nil {
		t.Fatalf("a bulk entry is missing: got %v, want the store open", err)
	}
	if _, err := db.Get(bulkKey); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	check(t, db.Close())
	without(t, dir, plainKey)
	if _, err := OpenPebble(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another entry is missing: got %v, want ErrCorrupt", err)
	}
}
