//go:build !nodisk

package kv

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func mustOpen(t *testing.T, dir string) DB {
	t.Helper()
	db, err := OpenPebble(dir)
	if err != nil {
		t.Fatalf("open %s: got %v, want nil", dir, err)
	}
	return db
}

func set(t *testing.T, db DB, key, value string) {
	t.Helper()
	var b Batch
	b.Set([]byte(key), []byte(value))
	if err := db.Apply(&b, true); err != nil {
		t.Fatalf("set: got %v, want nil", err)
	}
}

func closeDB(t *testing.T, db DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("close: got %v, want nil", err)
	}
	if err := db.Close(); err != nil {
		t.Fatalf("second close: got %v, want nil", err)
	}
}

// contents returns every file below dir with what is in it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// wantRefused opens dir, checks the error and that no file was touched.
func wantRefused(t *testing.T, dir string, want error, words ...string) {
	t.Helper()
	before := contents(t, dir)
	db, err := OpenPebble(dir)
	if err == nil {
		closeDB(t, db)
		t.Fatalf("got a store, want %v", want)
	}
	var e *DirError
	if !errors.As(err, &e) || !errors.Is(err, want) {
		t.Fatalf("got %v, want a DirError of %v", err, want)
	}
	for _, w := range append(words, dir, e.Remedy) {
		if w == "" || !strings.Contains(err.Error(), w) {
			t.Errorf("got message %q, want it to say %q", err, w)
		}
	}
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Errorf("got files changed by a refused opening:\n%q\nwant\n%q", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

func TestPebbleKeepsWhatWasSet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	db := mustOpen(t, dir)
	set(t, db, "a", "1")
	closeDB(t, db)
	info, err := os.Stat(dir)
	if err != nil || (runtime.GOOS != "windows" && info.Mode().Perm() != 0o700) {
		t.Errorf("got directory mode %v, %v, want 0700", info.Mode(), err)
	}
	db = mustOpen(t, dir)
	defer closeDB(t, db)
	if got, err := db.Get([]byte("a")); err != nil || string(got) != "1" {
		t.Errorf("got %q, %v after reopening, want \"1\"", got, err)
	}
}

func TestPebbleIsLocked(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	set(t, db, "a", "1")
	wantRefused(t, dir, ErrLocked, "in use by another node", "stop that node")
	closeDB(t, db)
	closeDB(t, mustOpen(t, dir))
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	set(t, db, "a", "1")
	p := db.(*pebbleClient)
	if err := p.db.Set(schemaKey, []byte("4"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	wantRefused(t, dir, ErrNewerSchema, "schema 4", "this release knows 3", "newer release")
}

func TestUnreadableSchemaIsDamage(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	if err := db.(*pebbleClient).db.Set(schemaKey, []byte("x"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	wantRefused(t, dir, ErrCorrupt, `schema version "x"`)
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, dir, ErrNotStore, `"letter.txt"`, "new directory")
}

// TestDamageIsFound breaks one file after the other.
func TestDamageIsFound(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"manifest marker lost": func(t *testing.T, dir string) {
			for _, f := range glob(t, dir, "marker.manifest*") {
				check(t, os.Remove(f))
			}
		},
		"manifest lost": func(t *testing.T, dir string) {
			for _, f := range glob(t, dir, "MANIFEST-*") {
				check(t, os.Remove(f))
			}
		},
		"table lost": func(t *testing.T, dir string) {
			check(t, os.Remove(glob(t, dir, "*.sst")[0]))
		},
		"table flipped":   func(t *testing.T, dir string) { flip(t, glob(t, dir, "*.sst")[0]) },
		"table cut short": func(t *testing.T, dir string) { check(t, os.Truncate(glob(t, dir, "*.sst")[0], 100)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := mustOpen(t, dir)
			for i := range 200 {
				set(t, db, string(rune('a'+i%26))+strings.Repeat("k", i), strings.Repeat("value", 20))
			}
			check(t, db.(*pebbleClient).db.Flush())
			closeDB(t, db)
			damage(t, dir)
			db, err := OpenPebble(dir)
			if err == nil { // then reading finds it
				entries, scanErr := db.Scan(nil)
				n := 0
				for range entries {
					n++
				}
				if err = scanErr(); err == nil {
					t.Errorf("got %d entries of a damaged store, want an error", n)
				}
				_ = db.Close()
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), restore) {
				t.Errorf("got %v, want ErrCorrupt and the remedy", err)
			}
		})
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("got no %s, %v, want at least one", pattern, err)
	}
	return names
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flip inverts one bit in the middle of the file.
func flip(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	check(t, err)
	b[len(b)/3] ^= 0x10
	check(t, os.WriteFile(path, b, 0o600))
}

// failing is a file system whose operations of some kinds fail.
func failing(on *atomic.Bool, err error, kinds ...errorfs.OpKind) vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if on.Load() && slices.Contains(kinds, op.Kind) {
			return err
		}
		return nil
	}))
}

func TestPermissionDeniedSaysWhatToDo(t *testing.T) {
	for name, kind := range map[string]errorfs.OpKind{"listing": errorfs.OpList, "locking": errorfs.OpLock, "creating": errorfs.OpCreate} {
		for cause, remedy := range map[syscall.Errno]string{
			syscall.EACCES: "readable and writable for the user",
			syscall.EROFS:  "mount the file system writable",
		} {
			t.Run(name+", "+cause.Error(), func(t *testing.T) {
				var on atomic.Bool
				on.Store(true)
				_, err := openPebble("/store", failing(&on, &fs.PathError{Op: "open", Path: "/store", Err: cause}, kind))
				if !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), remedy) {
					t.Errorf("got %v, want ErrPermission and %q", err, remedy)
				}
			})
		}
	}
}

// TestFullDisk: a write that did not reach the disk is not acknowledged, the
// process goes on, and what was acknowledged is there afterwards.
func TestFullDisk(t *testing.T) {
	var on atomic.Bool
	files := failing(&on, &fs.PathError{Op: "write", Path: "/store", Err: syscall.ENOSPC}, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpCreate)
	db, err := openPebble("/store", files)
	if err != nil {
		t.Fatalf("open: got %v, want nil", err)
	}
	set(t, db, "kept", "1")
	on.Store(true)
	var b Batch
	b.Set([]byte("lost"), []byte("1"))
	for range 2 {
		if err := db.Apply(&b, true); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
			t.Fatalf("got %v on a full disk, want ErrFailed with its cause and remedy", err)
		}
	}
	if got, err := db.Get([]byte("kept")); err != nil || string(got) != "1" {
		t.Errorf("got %q, %v on a full disk, want \"1\"", got, err)
	}
	on.Store(false)
	// The disk has room again: the store is opened anew by the next write, and
	// says so once.
	if err := db.Apply(&b, true); !errors.Is(err, ErrReopened) {
		t.Fatalf("got %v with room on the disk, want ErrReopened", err)
	}
	if err := db.Apply(&b, true); err != nil {
		t.Fatalf("got %v after that, want nil", err)
	}
	closeDB(t, db)
	if db, err = openPebble("/store", files); err != nil {
		t.Fatalf("open again: got %v, want nil", err)
	}
	for _, key := range []string{"kept", "lost"} {
		if got, err := db.Get([]byte(key)); err != nil || string(got) != "1" {
			t.Errorf("got %q, %v of %s after opening again, want \"1\"", got, err, key)
		}
	}
	closeDB(t, db)
}

// TestDirectoryBecomesReadOnly while the store is in use: what is there can be
// read, writes say what to do, and go on when they can.
func TestDirectoryBecomesReadOnly(t *testing.T) {
	for cause, remedy := range map[error]string{syscall.EROFS: remount, syscall.EACCES: writable} {
		var on atomic.Bool
		files := failing(&on, &fs.PathError{Op: "open", Path: "/store", Err: cause}, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpCreate)
		db, err := openPebble("/store", files)
		check(t, err)
		set(t, db, "kept", "1")
		on.Store(true)
		var b Batch
		b.Set([]byte("new"), []byte("1"))
		for range 2 {
			if err := db.Apply(&b, true); !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), remedy) {
				t.Errorf("%v: got %v, want ErrPermission and %q", cause, err, remedy)
			}
		}
		if got, err := db.Get([]byte("kept")); err != nil || string(got) != "1" {
			t.Errorf("%v: got %q, %v, want it to be read", cause, got, err)
		}
		on.Store(false)
		if err := db.Apply(&b, true); !errors.Is(err, ErrReopened) {
			t.Errorf("%v, over: got %v, want ErrReopened", cause, err)
		}
		check(t, db.Apply(&b, true))
		closeDB(t, db)
	}
}

// TestInterruptedCreationIsFinished: a crash after any file operation of the
// first opening leaves a directory that the next one accepts.
func TestInterruptedCreationIsFinished(t *testing.T) {
	for n := int64(1); ; n++ {
		var left atomic.Int64
		left.Store(n)
		files := errorfs.Wrap(roomy{vfs.NewMem()}, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if left.Add(-1) < 0 && op.Kind != errorfs.OpList {
				return errorfs.ErrInjected
			}
			return nil
		}))
		db, err := openPebble("/store", files)
		done := left.Load() >= 0
		if err == nil {
			_ = db.Close()
		}
		left.Store(1 << 40)
		db, err = openPebble("/store", files)
		if err != nil {
			t.Fatalf("after %d operations: got %v, want a store", n, err)
		}
		closeDB(t, db)
		if done {
			if n < 10 {
				t.Errorf("got %d operations in all, want many", n)
			}
			return
		}
	}
}

func TestFewGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	db := mustOpen(t, t.TempDir())
	set(t, db, "a", "1")
	if got := runtime.NumGoroutine() - before; got > 12 {
		t.Errorf("got %d goroutines of an idle store, want at most 12", got)
	}
	closeDB(t, db)
}
