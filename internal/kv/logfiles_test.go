//go:build !nodisk

package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fill applies batches of 64 KiB until one fails, and returns how many did not
// and why that one did.
func fill(t *testing.T, db DB, prefix string, sync bool) (n int, err error) {
	t.Helper()
	for ; n < 200; n++ {
		var b Batch
		b.Set(fmt.Appendf(nil, "%s %d", prefix, n), []byte(strings.Repeat("v", 64<<10)))
		if err = db.Apply(&b, sync); err != nil {
			return n, err
		}
	}
	t.Fatalf("got %d batches applied, want one of them to fail", n)
	return n, nil
}

// recovers checks that a store whose disk works again does too, and holds what
// it acknowledged.
func recovers(t *testing.T, db DB, files vfs.FS, acknowledged int) {
	t.Helper()
	var b Batch
	b.Set([]byte("after"), []byte("1"))
	if err := db.Apply(&b, true); !errors.Is(err, ErrReopened) {
		t.Fatalf("with a disk that works: got %v, want ErrReopened", err)
	}
	check(t, db.Apply(&b, true))
	closeDB(t, db)
	db, err := openPebble("/store", files)
	check(t, err)
	keys := []string{"after", "kept"}
	for i := range acknowledged {
		keys = append(keys, fmt.Sprint("synced ", i))
	}
	for _, key := range keys {
		if _, err := db.Get([]byte(key)); err != nil {
			t.Errorf("opened again: got %v of %s, want what was acknowledged", err, key)
		}
	}
	closeDB(t, db)
}

// TestNoNewLog: the open log works, and the next one cannot be made, or not for
// good.
func TestNoNewLog(t *testing.T) {
	makes := func(op errorfs.Op) bool {
		return slices.Contains([]errorfs.OpKind{errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpRename}, op.Kind)
	}
	for name, fails := range map[string]func(op errorfs.Op) bool{
		"directory cannot be written": makes,
		"log cannot be made":          func(op errorfs.Op) bool { return makes(op) && isLog(op.Path) },
		"directory cannot be synced":  func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync && op.Path == "/store" },
	} {
		for _, big := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, big batch %v", name, big), func(t *testing.T) {
				t.Parallel() // it waits for the next try
				var on atomic.Bool
				files := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
					if on.Load() && fails(op) {
						return &fs.PathError{Op: "open", Path: op.Path, Err: syscall.EMFILE}
					}
					return nil
				}))
				db, err := openPebble("/store", files)
				check(t, err)
				set(t, db, "kept", "1")
				for i := range 4 { // so that there are logs to be used again
					set(t, db, fmt.Sprint("big ", i), strings.Repeat("v", 3<<20))
				}
				check(t, db.db.Flush())
				on.Store(true)
				acknowledged := 0
				if big {
					var b Batch
					b.Set([]byte("lost"), []byte(strings.Repeat("v", 3<<20)))
					err = db.Apply(&b, true)
				} else {
					acknowledged, err = fill(t, db, "synced", true)
				}
				if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EMFILE) {
					t.Errorf("got %v, want ErrFailed and its cause", err)
				}
				if got, err := db.Get([]byte("kept")); err != nil || string(got) != "1" {
					t.Errorf("got %q, %v, want it to be read", got, err)
				}
				on.Store(false)
				recovers(t, db, files, acknowledged)
			})
		}
	}
}

// TestMarkerOnABrokenDisk moves a marker, as for a new MANIFEST, when the directory
// cannot be synced: that ends the store, and not the process. Nothing is removed
// afterwards.
func TestMarkerOnABrokenDisk(t *testing.T) {
	var on atomic.Bool
	failed := new(fatal)
	files := &logFiles{FS: failing(&on, &fs.PathError{Op: "sync", Path: "/", Err: syscall.EIO}, errorfs.OpFileSync), errors: failed}
	marker, _, err := atomicfs.LocateMarker(files, "/", "manifest")
	check(t, err)
	defer marker.Close()
	check(t, marker.Move("MANIFEST-1"))
	dir, err := files.OpenDir("/")
	check(t, err)
	defer dir.Close()
	f, err := files.Create("000001.sst", vfs.WriteCategoryUnspecified)
	check(t, err)
	check(t, f.Close())
	on.Store(true)
	if err := dir.Sync(); err == nil || failed.err() != nil {
		t.Errorf("another sync: got %v and %v, want its error, and that nothing has ended", err, failed.err())
	}
	if err := marker.Move("MANIFEST-2"); err != nil || !errors.Is(failed.err(), syscall.EIO) {
		t.Errorf("got %v and %v, want the cause noted alone", err, failed.err())
	}
	on.Store(false)
	check(t, files.Remove("000001.sst"))
	if _, err := files.Stat("000001.sst"); err != nil {
		t.Errorf("got %v, want a file that was not removed", err)
	}
	if _, err := files.Create("000002.sst", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want no further table", err)
	}
}

// TestManifestOnABrokenDisk has a store that begins a new MANIFEST while it flushes in the
// background. Then the directory cannot be synced.
func TestManifestOnABrokenDisk(t *testing.T) {
	var on, moved atomic.Bool
	files := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		moved.CompareAndSwap(false, on.Load() && op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "marker.manifest"))
		if moved.Load() && op.Kind == errorfs.OpFileSync && op.Path == "/" {
			return &fs.PathError{Op: "sync", Path: "/", Err: syscall.EIO}
		}
		return nil
	}))
	log := new(fatal)
	o := options(files, nil, log, false)
	o.MaxManifestFileSize = 1
	db, err := open("/", o)
	check(t, err)
	on.Store(true)
	for i := 0; log.err() == nil; i++ {
		if i == 1000 {
			t.Fatal("got no new MANIFEST")
		}
		check(t, db.Set([]byte("k"), []byte("v"), pebble.NoSync))
		_, err := db.AsyncFlush()
		check(t, err)
		time.Sleep(time.Millisecond)
	}
	if !moved.Load() || !errors.Is(log.err(), syscall.EIO) {
		t.Errorf("got %v, want the cause, after a new MANIFEST", log.err())
	}
	_ = db.Close() // it says that not all is on the disk
}

// TestTablesOnABrokenDisk: a flush that is tried again and again leaves no tables behind.
func TestTablesOnABrokenDisk(t *testing.T) {
	for name, kinds := range map[string][]errorfs.OpKind{
		"full":                       {errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData},
		"directory cannot be synced": {errorfs.OpFileSync},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for the next try
			var on atomic.Bool
			files := failing(&on, &fs.PathError{Op: "write", Path: "/store", Err: syscall.ENOSPC}, kinds...)
			db, err := openPebble("/store", files)
			check(t, err)
			set(t, db, "kept", "1")
			for i := range 9 {
				set(t, db, fmt.Sprint("big ", i), strings.Repeat("v", 300<<10))
			}
			on.Store(true)
			if _, err := fill(t, db, "synced", true); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("got %v, want the cause", err)
			}
			tables := func() (n int) {
				names, err := files.List("/store")
				check(t, err)
				for _, name := range names {
					if strings.HasSuffix(name, ".sst") {
						n++
					}
				}
				return n
			}
			before := tables()
			time.Sleep(10 * flushRetry)
			if after := tables(); after > before+1 {
				t.Errorf("got %d tables after %d, want no further ones", after, before)
			}
			on.Store(false)
			recovers(t, db, files, 0)
		})
	}
}

// TestFullDiskWithoutSync: nobody waits for the disk, and it fails.
func TestFullDiskWithoutSync(t *testing.T) {
	var on atomic.Bool
	files := failing(&on, &fs.PathError{Op: "write", Path: "/store", Err: syscall.ENOSPC}, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
	db, err := openPebble("/store", files)
	check(t, err)
	set(t, db, "kept", "1")
	on.Store(true)
	if _, err := fill(t, db, "unsynced", false); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ErrFailed and its cause", err)
	}
	if err := db.Apply(&Batch{}, false); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("again: got %v, want the cause", err)
	}
	on.Store(false)
	recovers(t, db, files, 0)
}
