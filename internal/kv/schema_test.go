//go:build !nodisk

package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// makeSchema1 makes a store as the first schema was: entries and its number.
func makeSchema1(t *testing.T, files vfs.FS, dir string) {
	t.Helper()
	check(t, files.MkdirAll(dir, 0o700))
	db, err := pebble.Open(dir, options(files, nil, &fatal{}, false))
	check(t, err)
	check(t, db.Set(schemaKey, []byte("1"), pebble.Sync))
	for i := range 50 {
		check(t, db.Set(fmt.Appendf(nil, "key %d", i), []byte("value"), pebble.Sync))
	}
	check(t, db.Close())
}

func count(t *testing.T, db DB) (n int) {
	t.Helper()
	entries, scanErr := db.Scan(nil)
	for range entries {
		n++
	}
	check(t, scanErr())
	return n
}

// TestUpgrade makes a store of the first schema one of the present, after a copy
// that can be put back, and says so before.
func TestUpgrade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	makeSchema1(t, vfs.Default, dir)
	before := contents(t, dir)

	r, err := Check(dir, nil)
	want := Report{Exists: true, Schema: 1, Entries: 50, Bytes: r.Bytes, Upgrade: true, Backup: dir + ".schema-1"}
	if err != nil || r != want || r.Bytes == 0 {
		t.Errorf("dry run: got %+v, %v, want %+v", r, err, want)
	}
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Error("dry run: got files changed, want none")
	}

	db := mustOpen(t, dir)
	if got := count(t, db); got != 50 {
		t.Errorf("got %d entries, want 50", got)
	}
	set(t, db, "new", "1")
	closeDB(t, db)
	copied := contents(t, dir+".schema-1")
	for path, b := range before {
		name := filepath.Base(path)
		if got := copied[filepath.Join(dir+".schema-1", name)]; got != b && name != "LOCK" {
			t.Errorf("got a copy of %s with %d bytes, want the %d of before", name, len(got), len(b))
		}
	}
	r, err = Check(dir, nil)
	if want := (Report{Exists: true, Schema: Schema, Entries: 51, Bytes: r.Bytes}); err != nil || r != want {
		t.Errorf("afterwards: got %+v, %v, want %+v", r, err, want)
	}
	// The copy is a store of its own; upgraded again it gets the next free name.
	db = mustOpen(t, dir+".schema-1")
	if got := count(t, db); got != 50 {
		t.Errorf("the copy: got %d entries, want 50", got)
	}
	closeDB(t, db)
}

func TestCheckOfNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	if r, err := Check(dir, nil); err != nil || r != (Report{}) {
		t.Errorf("got %+v, %v, want no store", r, err)
	}
	db := mustOpen(t, dir)
	defer closeDB(t, db)
	if _, err := Check(dir, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("in use: got %v, want ErrLocked", err)
	}
}

// TestInterruptedUpgradeIsFinished: what a crash before any file operation of an
// upgrade leaves is a store that the next opening upgrades.
func TestInterruptedUpgradeIsFinished(t *testing.T) {
	mem := vfs.NewMem()
	makeSchema1(t, mem, "/store")
	var mu sync.Mutex
	var crashes []image
	files := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, imageOf(t, mem, "/store"))
		}
		return nil
	}))
	db, err := openPebble("/store", files)
	check(t, err)
	closeDB(t, db)
	if len(crashes) < 30 {
		t.Errorf("got %d operations, want many", len(crashes))
	}
	for n, left := range crashes {
		db, err := openPebble("/store", left.files(t))
		if err != nil {
			t.Fatalf("after %d operations: got %v, want a store", n, err)
		}
		if got := count(t, db); got != 50 {
			t.Errorf("after %d operations: got %d entries, want 50", n, got)
		}
		closeDB(t, db)
	}
}

// TestOpeningOnAFullDisk says so, and does not wait for room as Pebble does.
func TestOpeningOnAFullDisk(t *testing.T) {
	var on atomic.Bool
	files := failing(&on, &fs.PathError{Op: "write", Path: "/store", Err: syscall.ENOSPC}, errorfs.OpFileWrite)
	db, err := openPebble("/store", files)
	check(t, err)
	set(t, db, "kept", "1")
	closeDB(t, db)
	on.Store(true)
	if _, err := openPebble("/store", files); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
		t.Errorf("got %v, want ErrFailed with its cause and remedy", err)
	}
	on.Store(false)
	db, err = openPebble("/store", files)
	check(t, err)
	if got := count(t, db); got != 1 {
		t.Errorf("with room: got %d entries, want 1", got)
	}
	closeDB(t, db)
}

// narrow is a file system with room for so many bytes in tables, and in anything
// that is made by way of trial.
type narrow struct {
	vfs.FS
	room atomic.Int64
}

func (n *narrow) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := n.FS.Create(name, category)
	if ext := filepath.Ext(name); err == nil && (ext == ".sst" || ext == ".PROBE") {
		return &narrowFile{f, n, 0}, nil
	}
	return f, err
}

type narrowFile struct {
	vfs.File
	disk *narrow
	size int64
}

func (f *narrowFile) Write(p []byte) (int, error) {
	f.size += int64(len(p))
	if f.size > f.disk.room.Load() {
		return 0, &fs.PathError{Op: "write", Path: "/store", Err: syscall.ENOSPC}
	}
	return f.File.Write(p)
}

// TestOpeningWithLittleRoom: there is less than what the log holds, which
// opening makes a table of.
func TestOpeningWithLittleRoom(t *testing.T) {
	mem := vfs.NewMem()
	db, err := openPebble("/store", mem)
	check(t, err)
	r := rand.NewChaCha8([32]byte{1})
	for i := range 20 { // 2.5 MiB that do not shrink, in the log
		value := make([]byte, 128<<10)
		_, _ = r.Read(value)
		set(t, db, fmt.Sprint(i), string(value))
	}
	files := &narrow{FS: imageOf(t, mem, "/store").files(t).(roomy).FS}
	closeDB(t, db)
	files.room.Store(5 << 18) // 1.25 MiB
	if _, err := openPebble("/store", files); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want ErrFailed and its cause", err)
	}
	files.room.Store(1 << 40)
	db, err = openPebble("/store", files)
	check(t, err)
	if got := count(t, db); got != 20 {
		t.Errorf("with room: got %d entries, want 20", got)
	}
	closeDB(t, db)
}

// TestBackupWithoutRoom leaves nothing behind.
func TestBackupWithoutRoom(t *testing.T) {
	var on atomic.Bool
	files := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if on.Load() && op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, ".part") {
			return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))
	makeSchema1(t, files, "/store")
	on.Store(true)
	if _, err := openPebble("/store", files); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ErrFailed and its cause", err)
	}
	if names, err := files.List("/"); err != nil || !slices.Equal(names, []string{"store"}) {
		t.Errorf("got %q, %v, want only the store", names, err)
	}
	on.Store(false)
	db, err := openPebble("/store", files)
	check(t, err)
	if got := count(t, db); got != 50 {
		t.Errorf("with room: got %d entries, want 50", got)
	}
	closeDB(t, db)
}

// TestLostEntriesAreFound changes the store behind the back of its guard.
func TestLostEntriesAreFound(t *testing.T) {
	for name, change := range map[string]func(db *pebble.DB) error{
		"one lost":    func(db *pebble.DB) error { return db.Delete([]byte("b"), pebble.Sync) },
		"one more":    func(db *pebble.DB) error { return db.Set([]byte("d"), []byte("1"), pebble.Sync) },
		"one changed": func(db *pebble.DB) error { return db.Set([]byte("b"), []byte("2"), pebble.Sync) },
		"two swapped": func(db *pebble.DB) error {
			return errors.Join(db.Set([]byte("a"), []byte("2x"), pebble.Sync), db.Set([]byte("b"), []byte("1"), pebble.Sync))
		},
		"guard lost":   func(db *pebble.DB) error { return db.Delete(guardKey, pebble.Sync) },
		"guard cut":    func(db *pebble.DB) error { return db.Set(guardKey, []byte("x"), pebble.Sync) },
		"schema lost":  func(db *pebble.DB) error { return db.Delete(schemaKey, pebble.Sync) },
		"schema older": func(db *pebble.DB) error { return db.Set(schemaKey, []byte("1"), pebble.Sync) },
	} {
		dir := t.TempDir()
		db := mustOpen(t, dir)
		set(t, db, "a", "1")
		set(t, db, "b", "2x")
		set(t, db, "c", "3")
		check(t, change(db.(*pebbleClient).db))
		closeDB(t, db)
		t.Run(name, func(t *testing.T) { wantRefused(t, dir, ErrCorrupt, restore) })
	}
}

func TestDamagedWitness(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	for i := range 5 {
		set(t, db, fmt.Sprint(i), strings.Repeat("v", 10))
	}
	closeDB(t, db)
	image := imageOf(t, vfs.Default, dir)
	good := image[witnessName]
	for at := range 16 { // the other slot is good
		b := append([]byte(nil), good...)
		b[at] ^= 1
		db, err := openPebble("/store", image.with(witnessName, b).files(t))
		if err != nil {
			t.Fatalf("flipped at %d: got %v, want a store", at, err)
		}
		closeDB(t, db)
	}
	_, err := openPebble("/store", image.with(witnessName, []byte("nothing")).files(t))
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), witnessName) || !strings.Contains(err.Error(), "remove that file") {
		t.Errorf("got %v, want ErrCorrupt, the file and the remedy", err)
	}
	db2, err := openPebble("/store", image.with(witnessName, nil).files(t)) // as the remedy says
	if err != nil || count(t, db2) != 5 {
		t.Errorf("without the file: got %v, want the store", err)
	}
	closeDB(t, db2)
}
