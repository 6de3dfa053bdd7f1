// Package datadir opens the data directory of a node and the files in it safely:
// no other user of the machine can change what the node reads, or redirect what it
// writes.
//
// The directory must belong to the user of this program or to root, and no other
// user may have the right to write in it. Its files are opened relative to the
// directory that was checked: a symbolic link cannot lead out of it, and a write
// replaces a link instead of following it. On systems without the owners and modes
// of Unix, only the rules about links hold.
package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
)

// Dir is an open data directory.
type Dir struct {
	path string
	root *os.Root
}

// UnsafeError reports a directory, or a file in it, that another user of the
// machine controls.
type UnsafeError struct {
	Path  string
	Owner int         // user id of the wrong owner; -1 when the owner is right
	Mode  fs.FileMode // its permissions, when others may write there
	Link  bool        // it is a symbolic link where none may be, or one that cannot be followed
	User  int         // user id of this program
}

// What returns a description of the problem.
func (e *UnsafeError) What() string {
	switch {
	case e.Link:
		return e.Path + " is a symbolic link"
	case e.Owner >= 0:
		return fmt.Sprintf("%s belongs to another user (uid %d; this program runs as uid %d)", e.Path, e.Owner, e.User)
	}
	return fmt.Sprintf("%s can be changed by others (mode %04o)", e.Path, e.Mode)
}

// Remedy returns advice on what to do. quote makes a path one word of a shell.
func (e *UnsafeError) Remedy(quote func(string) string) string {
	switch {
	case e.Link:
		return "put what it leads to in its place, or remove it with \"rm " + quote(e.Path) + "\""
	case e.Owner >= 0:
		return fmt.Sprintf("run this program as uid %d, or take it over with \"chown -R %d %s\"", e.Owner, e.User, quote(e.Path))
	}
	return "make it private with \"chmod 700 " + quote(e.Path) + "\""
}

// Error describes the problem and its remedy.
func (e *UnsafeError) Error() string {
	return e.What() + "; " + e.Remedy(func(path string) string { return path })
}

// Make opens the directory. It first makes the directory, private to its owner, if
// it does not exist. It also makes an empty directory private in which the owner's
// group may write, as a umask of 002 leaves it.
func Make(path string) (*Dir, error) {
	d, err := Open(path)
	unsafe, _ := errors.AsType[*UnsafeError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, missing := os.Lstat(path); missing == nil {
			return nil, &UnsafeError{Path: path, Owner: -1, Link: true, User: user()} // that leads nowhere
		}
		err = os.MkdirAll(path, 0o700)
	case unsafe != nil && unsafe.Mode != 0 && unsafe.Mode&0o002 == 0:
		err = makePrivate(path, err)
	default:
		return d, err
	}
	if err != nil {
		return nil, err
	}
	return Open(path)
}

// Check reports whether Make would accept the directory, without changing it. A
// directory that does not exist is accepted.
func Check(path string) error {
	d, err := Open(path)
	unsafe, _ := errors.AsType[*UnsafeError](err)
	switch {
	case err == nil:
		return d.Close()
	case errors.Is(err, fs.ErrNotExist):
		if _, missing := os.Lstat(path); missing == nil {
			return &UnsafeError{Path: path, Owner: -1, Link: true, User: user()} // that leads nowhere
		}
		return nil
	case unsafe != nil && unsafe.Mode != 0 && unsafe.Mode&0o002 == 0:
		if entries, readErr := os.ReadDir(path); readErr == nil && len(entries) == 0 {
			return nil
		}
	}
	return err
}

// makePrivate takes the group's right to write from a directory that is empty
// before and after. Otherwise it returns the error unsafe.
func makePrivate(path string, unsafe error) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	empty := func() bool {
		entries, err := fs.ReadDir(root.FS(), ".")
		return err == nil && len(entries) == 0
	}
	if !empty() {
		return unsafe
	}
	if err := root.Chmod(".", 0o700); err != nil {
		return errors.Join(unsafe, err)
	}
	if !empty() {
		return unsafe
	}
	return nil
}

// Open opens a directory that exists. The error is an *[UnsafeError] or the
// system's.
func Open(path string) (*Dir, error) {
	d, err := Look(path)
	if err != nil {
		return nil, err
	}
	info, err := d.root.Stat(".")
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Look opens a directory for reading, whatever its owner. Only files inside the
// directory can be read.
func Look(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{path, root}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }

// user returns the user id of this program. Tests replace it.
var user = os.Geteuid

func check(path string, info fs.FileInfo) error {
	owner, ok := OwnerOf(info)
	switch {
	case !ok: // not a system of Unix
		return nil
	case owner != user() && owner != 0:
		return &UnsafeError{Path: path, Owner: owner, User: user()}
	case info.Mode().Perm()&0o022 != 0:
		return &UnsafeError{Path: path, Owner: -1, Mode: info.Mode().Perm(), User: user()}
	}
	return nil
}

// CheckDir checks the owner and mode of a directory in d, and that it is no link. It
// accepts one that does not exist.
func (d *Dir) CheckDir(name string) error {
	info, err := d.noLink(name)
	if err != nil || info == nil {
		return err
	}
	return check(d.join(name), info)
}

// CheckFile refuses a symbolic link. It accepts a file that does not exist.
func (d *Dir) CheckFile(name string) error {
	_, err := d.noLink(name)
	return err
}

func (d *Dir) noLink(name string) (fs.FileInfo, error) {
	info, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, &UnsafeError{Path: d.join(name), Owner: -1, Link: true, User: user()}
	}
	return info, nil
}

func (d *Dir) join(name string) string { return strings.TrimSuffix(d.path, "/") + "/" + name }

// ReadFile returns the content of a file of at most limit bytes, and its FileInfo.
// With owned it refuses a file that belongs to another user. It follows a link that
// stays in d.
func (d *Dir) ReadFile(name string, limit int64, owned bool) ([]byte, fs.FileInfo, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|NonBlock, 0) // does not wait for the writer of a pipe
	if err != nil {
		if _, link := d.noLink(name); link != nil { // that leads out of the directory, or nowhere
			err = link
		}
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "read", Path: d.join(name), Err: errors.New("not a regular file")}
	}
	if owner, ok := OwnerOf(info); owned && ok && owner != user() && owner != 0 {
		return nil, nil, &UnsafeError{Path: d.join(name), Owner: owner, User: user()}
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &fs.PathError{Op: "read", Path: d.join(name), Err: fmt.Errorf("longer than %d bytes", limit)}
	}
	return b, info, err
}

// WriteFile writes a file, readable for its owner only, as a whole or not at all.
// It replaces a file or a link of that name.
func (d *Dir) WriteFile(name string, b []byte) error {
	return d.write(name, b, d.root.Rename)
}

// WriteNew is WriteFile for a file that must not exist; otherwise the error is
// [fs.ErrExist]. When several processes write at once, one succeeds.
func (d *Dir) WriteNew(name string, b []byte) error {
	if _, err := d.root.Lstat(name); err == nil {
		return fs.ErrExist
	}
	return d.write(name, b, func(from, to string) error {
		if err := d.root.Link(from, to); err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		return d.root.Rename(from, to) // a file system without links
	})
}

func (d *Dir) write(name string, b []byte, place func(from, to string) error) error {
	temporary := fmt.Sprintf(".%s-%x", name, rand.Uint64())
	f, err := d.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = d.root.Remove(temporary) }()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(temporary, name)
}
