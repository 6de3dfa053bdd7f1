package kv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// StoreDir is where the store is in the data directory of a node.
const StoreDir = "peers"

// lockName is the file that is locked while a store is open.
const lockName = "LOCK"

// dirLocks are the locks that this process has. The system does not tell them
// apart: it gives a process the same lock again through another path, and takes
// it away when any descriptor of the file is closed. So nobody opens a file that
// is in here, and mu is held while one is locked, unlocked or looked at.
var dirLocks struct {
	mu   sync.Mutex
	held []*dirLock
}

var errLockedHere = errors.New("open in this process")

// dirLock is the lock of a directory.
type dirLock struct {
	pebble *pebble.Lock
	file   fs.FileInfo // nil when it is not on the system's disk
}

// lockDirectory takes the lock of dir, under whatever path it is known.
func lockDirectory(dir string, files vfs.FS) (*dirLock, error) {
	onDisk := vfs.Root(files) == vfs.Default
	name := filepath.Join(dir, lockName)
	dirLocks.mu.Lock()
	defer dirLocks.mu.Unlock()
	if onDisk {
		if info, err := os.Stat(name); err == nil && lockedHere(info) {
			return nil, errLockedHere
		}
	}
	l := &dirLock{}
	var err error
	if l.pebble, err = pebble.LockDirectory(dir, files); err != nil {
		return nil, err
	}
	if onDisk {
		if l.file, err = os.Stat(name); err != nil {
			return nil, errors.Join(err, l.pebble.Close())
		}
		dirLocks.held = append(dirLocks.held, l)
	}
	return l, nil
}

func (l *dirLock) close() error {
	dirLocks.mu.Lock()
	defer dirLocks.mu.Unlock()
	dirLocks.held = slices.DeleteFunc(dirLocks.held, func(other *dirLock) bool { return other == l })
	return l.pebble.Close()
}

// lockedHere tells whether this process has locked the file. The caller holds mu.
func lockedHere(file fs.FileInfo) bool {
	return slices.ContainsFunc(dirLocks.held, func(l *dirLock) bool { return os.SameFile(l.file, file) })
}

// InUse tells whether a process, this or another, has the store in dir open. It
// only looks: it takes no lock and makes no file, so that it is in nobody's way.
// It tells false when there is no store, and fails when it may not look. Where
// the system has no way to look, it knows of this process only.
func InUse(dir string) (bool, error) {
	name := filepath.Join(dir, lockName)
	dirLocks.mu.Lock()
	defer dirLocks.mu.Unlock()
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if lockedHere(info) {
		return true, nil
	}
	return lockedElsewhere(name)
}
