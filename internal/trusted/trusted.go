// Package trusted opens files that only certain accounts of the machine can change. It checks
// the file, every folder above it, and the symbolic links on the way.
//
// On systems without the owners and modes of Unix it checks nothing.
package trusted

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// UnsafeError reports a file, or a folder or link on the way to it, that another account can
// change.
type UnsafeError struct {
	Path  string
	Owner int         // user id of the wrong owner; -1 if the owner is right
	Mode  fs.FileMode // the permissions, if others may write there
}

// Error says what is wrong.
func (e *UnsafeError) Error() string {
	if e.Owner >= 0 {
		return fmt.Sprintf("%s belongs to the user with the id %d", e.Path, e.Owner)
	}
	return fmt.Sprintf("%s can be changed by others (mode %04o)", e.Path, e.Mode)
}

// ErrNotRegular reports a file that is none, such as a folder, a pipe or a device.
var ErrNotRegular = errors.New("it is not a regular file")

var errTooManyLinks = errors.New("too many symbolic links")

// maxLinks is the most symbolic links on the way to a file.
const maxLinks = 40

// Open opens a regular file for reading that only accounts for which trusts returns true can
// change. It returns its owner's user id too, or -1 on a system without any. The error is an
// *[UnsafeError], [ErrNotRegular] or the system's.
//
// Others may write in a folder above the file if it is sticky, and what follows in the path
// is a folder: they can neither replace it nor make one that looks like it.
func Open(path string, trusts func(uid int) bool) (*os.File, int, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, -1, err
	}
	if path, err = follow(path, trusts); err != nil {
		return nil, -1, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|datadir.NoFollow|datadir.NonBlock, 0) // opening a pipe would wait
	if err != nil {
		return nil, -1, err
	}
	info, err := f.Stat()
	owner := -1
	if err == nil {
		owner, err = check(path, info, trusts)
	}
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, -1, err
	}
	return f, owner, nil
}

// follow checks each step of the path, and returns it without symbolic links.
func follow(path string, trusts func(uid int) bool) (string, error) {
	const separator = string(filepath.Separator)
	at := filepath.VolumeName(path) + separator
	rest := split(path[len(at)-1:])
	above, err := os.Lstat(at)
	if err != nil {
		return "", err
	}
	for links := 0; ; {
		if _, err := check(at, above, trusts); err != nil {
			return "", err
		}
		if len(rest) == 0 {
			return at, nil
		}
		step := rest[0]
		rest = rest[1:]
		if step == ".." { // at is free of links
			at = filepath.Dir(at)
			if above, err = os.Lstat(at); err != nil {
				return "", err
			}
			continue
		}
		next := filepath.Join(at, step)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if writable(above) && !info.IsDir() { // anybody can give files and links of others another name
			return "", &UnsafeError{Path: at, Owner: -1, Mode: above.Mode().Perm()}
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at, above = next, info
			continue
		}
		if owner, _, ok := datadir.OwnerOf(info); ok && !trusts(owner) {
			return "", &UnsafeError{Path: next, Owner: owner}
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: path, Err: errTooManyLinks}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at = filepath.VolumeName(target) + separator
			target = target[len(at)-1:]
			if above, err = os.Lstat(at); err != nil {
				return "", err
			}
		}
		rest = append(split(target), rest...)
	}
}

// split returns the steps of a path.
func split(path string) (steps []string) {
	for step := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if step != "" && step != "." {
			steps = append(steps, step)
		}
	}
	return steps
}

// check returns the owner, and an error if others can change what is at the path. A sticky
// folder passes; see [Open].
func check(path string, info fs.FileInfo, trusts func(uid int) bool) (owner int, err error) {
	owner, _, ok := datadir.OwnerOf(info)
	switch {
	case !ok:
		return -1, nil
	case !trusts(owner):
		return owner, &UnsafeError{Path: path, Owner: owner}
	case writable(info) && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0):
		return owner, &UnsafeError{Path: path, Owner: -1, Mode: info.Mode().Perm()}
	}
	return owner, nil
}

// writable reports whether others than the owner may write.
func writable(info fs.FileInfo) bool {
	_, _, ok := datadir.OwnerOf(info)
	return ok && info.Mode().Perm()&0o022 != 0
}
