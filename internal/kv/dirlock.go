//go:build !nodisk

package kv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var errLockedHere = errors.New("open in this process")

// dirLock is the lock of a directory.
type dirLock struct {
	pebble *pebble.Lock
	file   fs.FileInfo // nil when it is not on the system's disk
}

// lockDirectory takes the lock of dir. Two paths of the same directory have one
// lock.
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
		dirLocks.held = append(dirLocks.held, l.file)
	}
	return l, nil
}

func (l *dirLock) close() error {
	dirLocks.mu.Lock()
	defer dirLocks.mu.Unlock()
	dirLocks.held = slices.DeleteFunc(dirLocks.held, func(held fs.FileInfo) bool { return held == l.file })
	return l.pebble.Close()
}
