//go:build !nodisk

package kv

import (
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logFiles is the file system that Pebble uses. Pebble answers an error of its log,
// or of moving a marker, with a panic that leaves its locks held. So logFiles hides
// such an error and keeps it; commits that wait for the log check it there. After the
// error nothing more is written to the log and no later log is made, so that the logs
// hold all batches up to some point: Pebble refuses logs with a gap.
type logFiles struct {
	vfs.FS
	errors *fatal
	failed atomic.Bool             // nothing more is written to the log
	begun  atomic.Bool             // the first log has been made
	dir    atomic.Pointer[logsDir] // the directory that is synced after a new log
}

// Unwrap returns the file system below.
func (l *logFiles) Unwrap() vfs.FS { return l.FS }

func isLog(name string) bool { return filepath.Ext(name) == ".log" }

// do calls what, an operation on the log, and keeps its error.
func (l *logFiles) do(what func() error) {
	if l.failed.Load() {
		return
	}
	if err := what(); err != nil {
		l.errors.Fatalf("%s", err)
		l.failed.Store(true)
	}
}

// make returns the new log that what makes. If that fails, it returns an empty file
// outside of the file system.
func (l *logFiles) make(what func() (vfs.File, error)) (f vfs.File, err error) {
	l.do(func() error {
		f, err = what()
		return err
	})
	l.begun.Store(true)
	if l.failed.Load() {
		if f, err = vfs.NewMem().Create("lost", vfs.WriteCategoryUnspecified); err != nil {
			return nil, err
		}
	}
	return &logFile{f, l}, nil
}

func (l *logFiles) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	switch {
	case isLog(name):
	case l.failed.Load(): // Pebble tries to flush again and again, and Remove removes no table
		return nil, l.errors.err()
	default:
		return l.FS.Create(name, category)
	}
	return l.make(func() (vfs.File, error) { return l.FS.Create(name, category) })
}

func (l *logFiles) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !isLog(to) {
		return l.FS.ReuseForWrite(from, to, category)
	}
	return l.make(func() (vfs.File, error) { return l.FS.ReuseForWrite(from, to, category) })
}

func (l *logFiles) OpenDir(name string) (vfs.File, error) {
	d, err := l.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &logsDir{d, l}, nil
}

// logFile is a log open for writing.
type logFile struct {
	vfs.File
	files *logFiles
}

func (f *logFile) Write(p []byte) (int, error) {
	f.files.do(func() error {
		_, err := f.File.Write(p)
		return err
	})
	return len(p), nil
}

func (f *logFile) Sync() error {
	f.files.do(f.File.Sync)
	return nil
}

func (f *logFile) SyncData() error {
	f.files.do(f.File.SyncData)
	return nil
}

func (f *logFile) SyncTo(length int64) (full bool, _ error) {
	f.files.do(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, nil
}

func (f *logFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.files.do(func() error { return err })
	}
	return nil
}

// logsDir is the store's directory, open for syncing. Pebble opens it several times.
// The one for its logs is the first that is synced after the first log was made; its
// errors are hidden. Pebble must see the errors of the others, since it removes logs
// once the tables with the same entries are in the directory.
type logsDir struct {
	vfs.File
	files *logFiles
}

func (d *logsDir) Sync() error {
	if d.files.begun.Load() {
		d.files.dir.CompareAndSwap(nil, d)
	}
	if d.files.dir.Load() != d {
		err := d.File.Sync()
		if err == nil || !movesMarker() {
			return err
		}
		d.files.do(func() error { return err })
		return nil
	}
	d.files.do(d.File.Sync)
	return nil
}

// Remove removes nothing after an error: what is on the disk may be needed when the
// store is opened again.
func (l *logFiles) Remove(name string) error {
	if l.failed.Load() {
		return nil
	}
	return l.FS.Remove(name)
}

// movesMarker reports whether its caller is Pebble moving a marker, as when it begins
// a new MANIFEST. Pebble answers an error there with a panic, even while it flushes
// tables in the background, where nobody can recover it.
func movesMarker() bool {
	callers := make([]uintptr, 8)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "atomicfs.(*Marker).Move") {
			return true
		}
		if !more {
			return false
		}
	}
}
