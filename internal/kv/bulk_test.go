//go:build !nodisk

package kv

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
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

// TestDamagedBlock damages the block of one bulk entry of a store that is open: Get says so, of the entries
// in that block alone, and the store goes on for all others, also after the next write.
func TestDamagedBlock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	db, err := OpenPebble(dir)
	check(t, err)
	const entries = 32
	key := func(i int) []byte { return []byte{Bulk, byte(i)} }
	random := rand.NewChaCha8([32]byte{1})
	values := make([][]byte, entries)
	for i := range values {
		values[i] = make([]byte, 8<<10)
		_, _ = random.Read(values[i])
		var b Batch
		b.Set(key(i), values[i])
		b.Set(plainKey, values[i][:8])
		check(t, db.Apply(&b, true))
	}
	check(t, db.Close())
	db, err = OpenPebble(dir) // what the log has goes into tables
	check(t, err)
	defer db.Close()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	check(t, err)
	found := false
	for _, name := range tables {
		content, err := os.ReadFile(name)
		check(t, err)
		if at := bytes.Index(content, values[20]); at >= 0 {
			found = true
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			check(t, err)
			_, err = f.WriteAt([]byte{content[at+100] ^ 1}, int64(at+100))
			check(t, errors.Join(err, f.Close()))
		}
	}
	if !found {
		t.Fatal("no table has the value")
	}
	for round := range 2 {
		bad := 0
		for i := range values {
			got, err := db.Get(key(i))
			switch {
			case errors.Is(err, ErrBlock) && errors.Is(err, ErrCorrupt):
				bad++
			case err != nil || !bytes.Equal(got, values[i]):
				t.Errorf("entry %d: got %d bytes, %v", i, len(got), err)
			}
		}
		if _, err := db.Get(key(20)); !errors.Is(err, ErrBlock) || bad > 2 {
			t.Errorf("round %d: got %v of the damaged entry, and %d that cannot be read, want it and at most a neighbour", round, err, bad)
		}
		var b Batch
		b.Set(plainKey, []byte("after"))
		if err := db.Apply(&b, true); err != nil && !errors.Is(err, ErrReopened) {
			t.Errorf("round %d: got %v of a write", round, err)
		}
	}
	check(t, db.Close())
	if _, err := db.Get(key(20)); errors.Is(err, ErrBlock) {
		t.Errorf("got %v of a closed store", err)
	}
}
