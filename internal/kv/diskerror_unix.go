//go:build unix && !nodisk

package kv

import (
	"errors"
	"syscall"
)

// diskError reports whether err comes from the disk rather than from a lock that
// another process holds.
func diskError(err error) bool {
	for _, e := range []syscall.Errno{syscall.EIO, syscall.EFBIG, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ENOTDIR, syscall.EMFILE, syscall.ENFILE, syscall.ENOLCK} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// readOnly reports whether err says that the file system cannot be written to.
func readOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
