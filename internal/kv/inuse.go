package kv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// StoreDir is the name of the store's directory in the data directory of a node.
const StoreDir = "peers"

// lockName is the file that is locked while a store is open.
const lockName = "LOCK"

// dirLocks are the locks that this process holds. The system does not tell locks of
// one process apart: it grants the same lock again through another path, and drops
// it when any descriptor of the file is closed. So a file that is listed here must
// not be opened again, and mu is held while a file is locked, unlocked or checked.
var dirLocks struct {
	mu   sync.Mutex
	held []fs.FileInfo // of the locked files
}

// lockedHere reports whether this process has locked the file. The caller holds mu.
func lockedHere(file fs.FileInfo) bool {
	return slices.ContainsFunc(dirLocks.held, func(held fs.FileInfo) bool { return os.SameFile(held, file) })
}

// InUse reports whether a process, this or another, has the store in dir open. It
// takes no lock and makes no file, so it does not disturb a node that starts. It
// returns false when there is no store, and an error when it has no permission to
// look. On systems that cannot query a lock, it knows of this process only.
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
