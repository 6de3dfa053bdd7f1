package kv

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// InUse tells whether another process has the store in dir open. It leaves the
// directory as it was, and tells false when there is no store.
func InUse(dir string) bool {
	name := filepath.Join(dir, "LOCK")
	if _, err := os.Stat(name); err != nil {
		return false
	}
	l, err := vfs.Default.Lock(name)
	if err != nil {
		return true
	}
	l.Close()
	return false
}
