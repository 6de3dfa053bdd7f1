// Package datadir opens the data directory of a node and the files in it safely:
// no other user of the machine can change what the node reads, or redirect what it
// writes.
//
// The directory must belong to the user of this program or to root, and no other
// user may have the right to write in it, except members of a group that the user has
// named ([Group]). Its files are opened relative to the directory that was checked: a
// symbolic link cannot lead out of it, and a write replaces a link instead of following
// it. On systems without the owners and modes of Unix, only the rules about links hold.
package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// Group is the id of a Unix group whose members are trusted like the user of this program:
// they may read and write in the data directory. 0 is no group.
type Group int

// Dir is an open data directory.
type Dir struct {
	path  string
	root  *os.Root
	group Group
}

// UnsafeError reports a directory, or a file in it, that another user of the
// machine controls.
type UnsafeError struct {
	Path  string
	Owner int         // user id of the wrong owner; -1 when the owner is right
	Mode  fs.FileMode // its permissions, when others may do what they must not
	Link  bool        // it is a symbolic link where none may be, or one that cannot be followed
	User  int         // user id of this program
	Group int         // group id, when the mode is fine but for what its group may do; otherwise 0
	Read  bool        // that others may read is what is wrong
	More  []*UnsafeError

	dir string // the data directory, with More
}

// What returns a description of this problem and of each in More.
func (e *UnsafeError) What() string {
	text := e.what()
	for _, m := range e.More {
		text += ", " + m.what()
	}
	return text
}

func (e *UnsafeError) what() string {
	by, do := "others", "changed"
	if e.Group != 0 {
		by = fmt.Sprintf("group %d", e.Group)
	}
	if e.Read {
		do = "read"
	}
	switch {
	case e.Link:
		return e.Path + " is a symbolic link"
	case e.Owner >= 0:
		return fmt.Sprintf("%s belongs to another user (uid %d; this program runs as uid %d)", e.Path, e.Owner, e.User)
	}
	return fmt.Sprintf("%s can be %s by %s (mode %04o)", e.Path, do, by, e.Mode)
}

// Remedy returns advice on what to do about all of it. quote makes a path one word of a shell.
func (e *UnsafeError) Remedy(quote func(string) string) string {
	owner, links, group := -1, []string(nil), e.Group
	for _, x := range append([]*UnsafeError{e}, e.More...) {
		switch {
		case x.Link:
			links = append(links, quote(x.Path))
		case x.Owner >= 0:
			owner = x.Owner
		}
		if x.Group != e.Group {
			group = 0
		}
	}
	var private string
	switch {
	case len(e.More) > 0:
		private = "make it private with \"chmod -R go-rwx " + quote(e.dir) + "\""
	case e.Read:
		private = "make it private with \"chmod 600 " + quote(e.Path) + "\""
	default:
		private = "make it private with \"chmod 700 " + quote(e.Path) + "\""
	}
	switch {
	case len(links) > 0:
		return "put what it leads to in its place, or remove it with \"rm " + strings.Join(links, " ") + "\""
	case owner >= 0 && len(e.More) > 0:
		return fmt.Sprintf("run this program as uid %d, or take all of it over with \"chown -R %d %s && chmod -R go-rwx %[3]s\"", owner, e.User, quote(e.dir))
	case owner >= 0:
		return fmt.Sprintf("run this program as uid %d, or take it over with \"chown -R %d %s\"", owner, e.User, quote(e.Path))
	case group != 0 && inGroup(group):
		return fmt.Sprintf("if no other user is in group %d, as with fsGroup of Kubernetes, say so with %s=%[1]d in the environment; otherwise %[3]s", group, GroupVariable, private)
	}
	return private
}

// GroupVariable is the variable of the command that sets [Group].
const GroupVariable = "GAMELAN_DATA_DIR_GROUP"

// Error describes the problem and its remedy.
func (e *UnsafeError) Error() string {
	return e.What() + "; " + e.Remedy(func(path string) string { return path })
}

// Make opens the directory. It first makes the directory, private to its owner, if
// it does not exist. It also makes an empty directory private in which the owner's
// group may write, as a umask of 002 leaves it.
func Make(path string, group Group) (*Dir, error) {
	d, err := Open(path, group)
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
	return Open(path, group)
}

// Check reports whether Make would accept the directory, without changing it. A
// directory that does not exist is accepted.
func Check(path string, group Group) error {
	d, err := Open(path, group)
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

// Open opens a directory that exists. The error is an *[UnsafeError], which names all that
// is wrong with the directory and its files, or the system's.
func Open(path string, group Group) (*Dir, error) {
	d, err := Look(path)
	if err != nil {
		return nil, err
	}
	d.group = group
	info, err := d.root.Stat(".")
	if err == nil {
		if unsafe := d.check(path, info); unsafe != nil {
			unsafe.More, unsafe.dir = d.faults(""), d.path
			err = unsafe
		}
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// The names in a data directory that are checked: files with a key, and directories.
var (
	keyFiles = []string{"identity.json", "tor_identity.json"}
	dirs     = []string{"peers"}
)

// faults returns what is wrong with the files in the directory, except the one named.
func (d *Dir) faults(except string) (all []*UnsafeError) {
	for _, name := range keyFiles {
		if info, err := d.root.Stat(name); err == nil && name != except {
			if unsafe := d.checkKey(d.join(name), info); unsafe != nil {
				all = append(all, unsafe)
			}
		}
	}
	for _, name := range dirs {
		if name == except {
			continue
		}
		if unsafe, ok := errors.AsType[*UnsafeError](d.checkDir(name)); ok {
			all = append(all, unsafe)
		}
	}
	return all
}

// Look opens a directory for reading, whatever its owner. Only files inside the
// directory can be read.
func Look(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, root: root}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }

// user returns the user id of this program. Tests replace it.
var user = os.Geteuid

// inGroup reports whether this program is in a group.
func inGroup(gid int) bool {
	all, err := os.Getgroups()
	return os.Getegid() == gid || err == nil && slices.Contains(all, gid)
}

// check returns what is wrong with the owner and the mode of a directory, or nil.
func (d *Dir) check(path string, info fs.FileInfo) *UnsafeError { return d.allowed(path, info, 0o022) }

// checkKey returns what is wrong with the owner and the mode of a file with a key, or nil.
func (d *Dir) checkKey(path string, info fs.FileInfo) *UnsafeError {
	unsafe := d.allowed(path, info, 0o077)
	if unsafe != nil {
		unsafe.Read = unsafe.Group != 0 && unsafe.Mode&0o020 == 0 || unsafe.Group == 0 && unsafe.Mode&0o002 == 0
	}
	return unsafe
}

// allowed checks that the file is ours or root's and that others have none of the rights.
func (d *Dir) allowed(path string, info fs.FileInfo, rights fs.FileMode) *UnsafeError {
	owner, gid, ok := OwnerOf(info)
	mode := info.Mode().Perm()
	ofGroup, ofOthers := mode&rights&0o070, mode&rights&0o007
	trusted := d.group != 0 && gid == int(d.group)
	switch {
	case !ok: // not a system of Unix
		return nil
	case owner != user() && owner != 0:
		return &UnsafeError{Path: path, Owner: owner, User: user()}
	case ofOthers != 0:
		return &UnsafeError{Path: path, Owner: -1, Mode: mode, User: user()}
	case ofGroup != 0 && !trusted:
		return &UnsafeError{Path: path, Owner: -1, Mode: mode, User: user(), Group: gid}
	}
	return nil
}

// CheckDir checks the owner and mode of a directory in d, and that it is no link. It
// accepts one that does not exist. The error names all that is wrong in d.
func (d *Dir) CheckDir(name string) error {
	err := d.checkDir(name)
	if unsafe, ok := errors.AsType[*UnsafeError](err); ok {
		unsafe.More, unsafe.dir = d.faults(name), d.path
	}
	return err
}

func (d *Dir) checkDir(name string) error {
	info, err := d.noLink(name)
	if err != nil || info == nil {
		return err
	}
	if unsafe := d.check(d.join(name), info); unsafe != nil {
		return unsafe
	}
	return nil
}

// CheckKey checks the owner and mode of a file with a key in d: nobody else may read it. The
// error names all that is wrong in d; nil means nothing is.
func (d *Dir) CheckKey(name string, info fs.FileInfo) *UnsafeError {
	unsafe := d.checkKey(d.join(name), info)
	if unsafe == nil {
		return nil
	}
	unsafe.More, unsafe.dir = d.faults(name), d.path
	return unsafe
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
	if owner, _, ok := OwnerOf(info); owned && ok && owner != user() && owner != 0 {
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
