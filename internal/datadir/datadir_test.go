//go:build unix

package datadir_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// stranger is a user other than root and whoever runs the tests.
const stranger = 54321

// private makes a directory that is in order.
func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// foreign gives a file to another user. Without the right to do that, this
// program is another user instead.
func foreign(t *testing.T, path string) (owner int) {
	t.Helper()
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, stranger, stranger); err != nil {
			t.Fatal(err)
		}
		return stranger
	}
	t.Cleanup(datadir.RunAs(stranger))
	return os.Geteuid()
}

func unsafeError(t *testing.T, err error, want ...string) *datadir.UnsafeError {
	t.Helper()
	u, ok := errors.AsType[*datadir.UnsafeError](err)
	if !ok {
		t.Fatalf("got %v, want it refused", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want %q in it", err, w)
		}
	}
	return u
}

// TestOwner opens directories of ours, of root and of somebody else.
func TestOwner(t *testing.T) {
	dir := private(t)
	for _, open := range []func(string, datadir.Group) (*datadir.Dir, error){datadir.Open, datadir.Make} {
		d, err := open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	if d, err := datadir.Open("/", 0); err != nil { // of root, whoever runs this
		t.Errorf("a directory of root: got %v, want it accepted", err)
	} else {
		d.Close()
	}
	owner := foreign(t, dir)
	for _, open := range []func(string, datadir.Group) (*datadir.Dir, error){datadir.Open, datadir.Make} {
		_, err := open(dir, 0)
		if u := unsafeError(t, err, dir, fmt.Sprintf("uid %d", owner), "chown -R"); u.Owner != owner {
			t.Errorf("got owner %d, want %d", u.Owner, owner)
		}
	}
	if d, err := datadir.Look(dir); err != nil {
		t.Errorf("to look: got %v", err)
	} else {
		d.Close()
	}
}

// TestModes opens directories with every mode that lets others write or not.
func TestModes(t *testing.T) {
	dir := private(t)
	for mode, ok := range map[fs.FileMode]bool{0o700: true, 0o750: true, 0o755: true, 0o770: false, 0o720: false, 0o707: false, 0o702: false, 0o777: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		d, err := datadir.Open(dir, 0)
		if ok {
			if err != nil {
				t.Errorf("mode %04o: got %v, want it accepted", mode, err)
				continue
			}
			d.Close()
			continue
		}
		unsafeError(t, err, fmt.Sprintf("mode %04o", mode), "chmod 700", dir)
	}
}

// TestMake makes directories for their owner only.
func TestMake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := datadir.Open(dir, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: got %v, want %v", err, fs.ErrNotExist)
	}
	d, err := datadir.Make(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v, want mode 0700", info.Mode(), err)
	}
}

// TestMakePrivate: an empty directory that the group may write to is made private;
// one that holds something, or that everybody may write to, is refused.
func TestMakePrivate(t *testing.T) {
	for _, tt := range []struct {
		mode fs.FileMode
		file string
		ok   bool
	}{{0o775, "", true}, {0o770, "", true}, {0o777, "", false}, {0o775, "identity.json", false}} {
		dir := private(t)
		if tt.file != "" {
			if err := os.WriteFile(filepath.Join(dir, tt.file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, tt.mode); err != nil {
			t.Fatal(err)
		}
		d, err := datadir.Make(dir, 0)
		if !tt.ok {
			unsafeError(t, err, fmt.Sprintf("mode %04o", tt.mode), "chmod 700", dir)
			continue
		}
		if err != nil {
			t.Errorf("mode %04o: got %v, want it made private", tt.mode, err)
			continue
		}
		d.Close()
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("mode %04o: got %v, %v, want mode 0700", tt.mode, info.Mode(), err)
		}
	}
}

// TestLinks has the names of files be symbolic links: nothing is written through
// one, and nothing is read through one that leads out of the directory.
func TestLinks(t *testing.T) {
	dir := private(t)
	d, err := datadir.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	victim := filepath.Join(t.TempDir(), "victim")
	const kept = "not ours to change"
	if err := os.WriteFile(victim, []byte(kept), 0o644); err != nil {
		t.Fatal(err)
	}
	link := func(name, to string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("written", victim)
	link("new", victim)
	link("nowhere", filepath.Join(dir, "..", "made"))
	link("sub", filepath.Dir(victim))
	if err := d.WriteFile("written", []byte("ours")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "written")); err != nil || info.Mode() != 0o600 {
		t.Errorf("written: got %v, %v, want a file of mode 0600 in place of the link", info.Mode(), err)
	}
	for _, name := range []string{"new", "nowhere"} {
		if err := d.WriteNew(name, []byte("ours")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: got %v, want %v", name, err, fs.ErrExist)
		}
	}
	if b, _, err := d.ReadFile("new", 100, false); err == nil {
		t.Errorf("got %q read from outside", b)
	}
	if err := d.WriteFile("sub/x", []byte("ours")); err == nil {
		t.Error("got a file written through a directory that is a link")
	}
	unsafeError(t, d.CheckDir("sub"), "symbolic link", "rm ")
	unsafeError(t, d.CheckFile("new"), "symbolic link", "rm ")
	for _, name := range []string{"written", "missing"} {
		if err := d.CheckFile(name); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != kept {
		t.Errorf("the file outside: got %q, %v, want it as it was", b, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("beside the directory: got %v, %v, want nothing more", entries, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("got %v, %v, want no temporary files", left, err)
	}
}

// TestReadFile reads what there is, within its limit, of the right owner.
func TestReadFile(t *testing.T) {
	dir := private(t)
	d, err := datadir.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.WriteNew("f", []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if b, info, err := d.ReadFile("f", 5, true); err != nil || string(b) != "12345" || info.Mode() != 0o600 {
		t.Errorf("got %q, %v, %v", b, info, err)
	}
	if _, _, err := d.ReadFile("f", 4, true); err == nil || !strings.Contains(err.Error(), "longer than 4 bytes") {
		t.Errorf("a file that is too long: got %v", err)
	}
	if _, _, err := d.ReadFile(".", 4, true); err == nil {
		t.Error("a directory: got it read")
	}
	if err := os.Symlink("f", filepath.Join(dir, "inside")); err != nil {
		t.Fatal(err)
	}
	if b, _, err := d.ReadFile("inside", 5, true); err != nil || string(b) != "12345" {
		t.Errorf("a link to a file beside it: got %q, %v", b, err)
	}
	owner := foreign(t, filepath.Join(dir, "f"))
	_, _, err = d.ReadFile("f", 5, true)
	unsafeError(t, err, fmt.Sprintf("uid %d", owner))
	if _, _, err := d.ReadFile("f", 5, false); err != nil {
		t.Errorf("whoever it belongs to: got %v", err)
	}
}

// TestCheck agrees with Make about every directory, and changes none.
func TestCheck(t *testing.T) {
	if err := datadir.Check(filepath.Join(t.TempDir(), "none"), 0); err != nil {
		t.Errorf("a directory that is not there: got %v", err)
	}
	dangling := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("nothing", dangling); err != nil {
		t.Fatal(err)
	}
	for _, look := range []func(string, datadir.Group) error{datadir.Check, func(path string, g datadir.Group) error { _, err := datadir.Make(path, g); return err }} {
		unsafeError(t, look(dangling, 0), dangling+" is a symbolic link")
	}
	dir := private(t)
	for mode, ok := range map[fs.FileMode]bool{0o700: true, 0o755: true, 0o775: true, 0o777: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := datadir.Check(dir, 0); (err == nil) != ok {
			t.Errorf("empty, mode %04o: got %v, want it right: %v", mode, err, ok)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != mode {
			t.Errorf("got mode %v, %v, want %04o as it was", info.Mode(), err, mode)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	unsafeError(t, datadir.Check(dir, 0), "mode 0775")
}

// TestGroup opens directories that a group may change, as fsGroup of Kubernetes leaves them:
// the group that is named is trusted, and no other one.
func TestGroup(t *testing.T) {
	const gid = 54322
	dir := private(t)
	chmod := func(name string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"identity.json", "tor_identity.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		chmod(name, 0o660)
	}
	if err := os.Mkdir(filepath.Join(dir, "peers"), 0o700); err != nil {
		t.Fatal(err)
	}
	chmod("peers", 0o770)
	chmod(".", 0o775)
	group := gid
	if os.Geteuid() == 0 {
		for _, name := range []string{".", "identity.json", "tor_identity.json", "peers"} {
			if err := os.Chown(filepath.Join(dir, name), 0, gid); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		group = os.Getegid()
	}

	// Without a group one error names all, and what mends all.
	_, err := datadir.Open(dir, 0)
	u := unsafeError(t, err, dir+" can be changed by group", "/identity.json can be changed by group", "/tor_identity.json can be", "/peers can be",
		fmt.Sprintf("chmod -R go-rwx %s\"", dir))
	if len(u.More) != 3 {
		t.Errorf("got %d more, want 3", len(u.More))
	}
	if said := strings.Contains(err.Error(), fmt.Sprintf("GAMELAN_DATA_DIR_GROUP=%d", group)); said != (os.Geteuid() != 0) {
		t.Errorf("got %v, want the variable named only to a program in that group", err)
	}
	_, err = datadir.Open(dir, datadir.Group(group+1))
	unsafeError(t, err)

	// With it all of it is accepted.
	d, err := datadir.Open(dir, datadir.Group(group))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	check := func() error {
		t.Helper()
		for _, name := range []string{"identity.json", "tor_identity.json"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if unsafe := d.CheckKey(name, info); unsafe != nil {
				return unsafe
			}
		}
		return d.CheckDir("peers")
	}
	if err := check(); err != nil {
		t.Errorf("the group is trusted: got %v", err)
	}

	// A right of everybody is refused, even where the group is trusted.
	chmod("peers", 0o777)
	unsafeError(t, check(), "/peers can be changed by others (mode 0777)")
	chmod("identity.json", 0o664)
	unsafeError(t, check(), "/identity.json can be read by others (mode 0664), ", "/peers can be changed by others (mode 0777); ", "chmod -R go-rwx "+dir)
	chmod(".", 0o777)
	_, err = datadir.Open(dir, datadir.Group(group))
	unsafeError(t, err, dir+" can be changed by others (mode 0777), ", "/identity.json can be read by others", "/peers can be changed")
}
