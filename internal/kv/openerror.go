//go:build !nodisk

package kv

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

const writable = "make the directory and its files readable and writable for the user that runs the node"

const remount = "mount the file system writable, or choose a directory on another one"

const restore = "restore it from a copy, or move it away and start anew"

// damaged reports whether err says that the files are not as they were written.
func damaged(err error) bool { return errors.Is(err, ErrCorrupt) || pebble.IsCorruptionError(err) }

// lockError returns the error for a directory that could not be locked.
func lockError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || diskError(err) {
		return openError(dir, err)
	}
	return &DirError{Dir: dir, Err: ErrLocked, Cause: err, Remedy: "stop that node, or give this one a data directory of its own"}
}

// openError classifies an error of opening the store.
func openError(dir string, err error) error {
	if e, ok := errors.AsType[*DirError](err); ok && e.Dir == dir {
		return e
	}
	e := &DirError{Dir: dir, Err: ErrFailed, Cause: err, Remedy: "check the path, the disk and its free space"}
	_, witness := errors.AsType[*witnessError](err)
	switch {
	case witness:
		e.Err, e.Remedy = ErrCorrupt, "restore the directory from a copy; if you are sure that nothing else is damaged, remove that file"
	case damaged(err), errors.Is(err, fs.ErrNotExist):
		e.Err, e.Remedy = ErrCorrupt, restore
	case readOnly(err):
		e.Err, e.Remedy = ErrPermission, remount
	case errors.Is(err, fs.ErrPermission):
		e.Err, e.Remedy = ErrPermission, writable
	case strings.Contains(err.Error(), "unknown format major version"):
		e.Err, e.Remedy = ErrNewerSchema, "run the newer release, or start with another directory"
	case !fromSystem(err):
		e.Err, e.Remedy = ErrCorrupt, restore // Pebble does not mark all errors of inconsistent files
	}
	return e
}

// fromSystem reports whether err comes from the operating system.
func fromSystem(err error) bool {
	var errno syscall.Errno
	var path *fs.PathError
	var call *os.SyscallError
	return errors.As(err, &errno) || errors.As(err, &path) || errors.As(err, &call)
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
