package datadir

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Error returns the error for a data directory that cannot be used. The given err
// names the file.
func Error(err error) error {
	if _, ok := errors.AsType[*UnsafeError](err); ok { // this error says itself what to do
		return fmt.Errorf("gamelan: data directory: %w", err)
	}
	return fmt.Errorf("gamelan: data directory: %w; use a directory that this program may read and write", err)
}

// maxPrivate bounds a file with a key, in bytes.
const maxPrivate = 64 << 10

// ReadPrivate reads a file with a key from the data directory d; path is its whole path. The
// error wraps open if other users can read the file, and names all else that is wrong with d.
func ReadPrivate(d *Dir, path string, open error) ([]byte, error) {
	b, info, err := d.ReadFile(filepath.Base(path), maxPrivate, true)
	if err != nil {
		return nil, err
	}
	if unsafe := d.CheckKey(filepath.Base(path), info); unsafe != nil {
		return nil, &keyOpenError{open, path, unsafe}
	}
	return b, nil
}

// keyOpenError reports a file with a key that others can read.
type keyOpenError struct {
	open   error
	path   string
	unsafe *UnsafeError
}

func (e *keyOpenError) Error() string {
	if len(e.unsafe.More) > 0 {
		return "gamelan: data directory: " + e.unsafe.Error()
	}
	return fmt.Sprintf("%v: %s (mode %04o)", e.open, e.path, e.unsafe.Mode)
}

func (e *keyOpenError) Unwrap() []error { return []error{e.open, e.unsafe} }
