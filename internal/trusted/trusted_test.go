//go:build unix

package trusted

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpen opens a file below folders, links and modes of each kind. All belong to this account;
// the trusted ones are this and root, and in some cases nobody or root alone.
//
// conforms: V 35
func TestOpen(t *testing.T) {
	me := os.Geteuid()
	both := func(uid int) bool { return uid == 0 || uid == me }
	for _, c := range []struct {
		name   string
		make   func(dir string) error // beside the file and its folder
		path   string
		trusts func(int) bool
		unsafe string // where; empty: it opens, or has another error
		other  error
	}{
		{name: "plain", path: "a/file"},
		{name: "owned by another", path: "a/file", trusts: func(int) bool { return false }, unsafe: "/"},
		{name: "writable for the group", path: "a/file", make: func(d string) error { return os.Chmod(d+"/a/file", 0o620) }, unsafe: "a/file"},
		{name: "writable for all", path: "a/file", make: func(d string) error { return os.Chmod(d+"/a/file", 0o602) }, unsafe: "a/file"},
		{name: "readable for all", path: "a/file", make: func(d string) error { return os.Chmod(d+"/a/file", 0o644) }},
		{name: "its folder is writable", path: "a/file", make: func(d string) error { return os.Chmod(d+"/a", 0o770) }, unsafe: "a"},
		{name: "its folder is sticky", path: "a/file", make: func(d string) error { return os.Chmod(d+"/a", 0o777|os.ModeSticky) }, unsafe: "a"},
		{name: "a folder above is writable", path: "a/file", make: func(d string) error { return os.Chmod(d, 0o777) }, unsafe: "."},
		{name: "a folder above is sticky", path: "a/file", make: func(d string) error { return os.Chmod(d, 0o777|os.ModeSticky) }},
		{name: "a link to the file", path: "l", make: func(d string) error { return os.Symlink("a/file", d+"/l") }},
		{name: "a link to the folder", path: "l/file", make: func(d string) error { return os.Symlink(d+"/a", d+"/l") }},
		{name: "a link in a sticky folder", path: "b/l", make: func(d string) error {
			return errors.Join(os.Mkdir(d+"/b", 0o700), os.Symlink("../a/file", d+"/b/l"), os.Chmod(d+"/b", 0o777|os.ModeSticky))
		}, unsafe: "b"},
		{name: "a link over a writable folder", path: "l", make: func(d string) error {
			return errors.Join(os.Mkdir(d+"/b", 0o700), os.Chmod(d+"/b", 0o777), os.Symlink("b/../a/file", d+"/l"))
		}, unsafe: "b"},
		{name: "up and down", path: "a/../a/./file"},
		{name: "a circle", path: "l", make: func(d string) error { return os.Symlink("l", d+"/l") }, other: errTooManyLinks},
		{name: "not there", path: "a/none", other: os.ErrNotExist},
		{name: "a folder", path: "a", other: ErrNotRegular},
		{name: "a pipe", path: "p", make: func(d string) error { return syscall.Mkfifo(d+"/p", 0o600) }, other: ErrNotRegular},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err == nil {
				err = os.Chmod(dir, 0o700)
			}
			if err == nil {
				err = os.Mkdir(dir+"/a", 0o700)
			}
			if err == nil {
				err = os.WriteFile(dir+"/a/file", []byte("x"), 0o600)
			}
			if err == nil && c.make != nil {
				err = c.make(dir)
			}
			if err != nil {
				t.Fatal(err)
			}
			trusts := both
			if c.trusts != nil {
				trusts = c.trusts
			}
			f, owner, err := Open(dir+"/"+c.path, trusts)
			if err == nil {
				f.Close()
			}
			unsafe, _ := errors.AsType[*UnsafeError](err)
			where := ""
			if unsafe != nil {
				where = unsafe.Path
			}
			want := c.unsafe
			if want != "" && want != "/" {
				want = filepath.Join(dir, want)
			}
			switch {
			case where != want, c.other != nil && !errors.Is(err, c.other):
				t.Errorf("got %v, want it unsafe at %q, or %v", err, want, c.other)
			case want == "" && c.other == nil && (err != nil || owner != me):
				t.Errorf("got the owner %d, %v, want %d", owner, err, me)
			}
		})
	}
}

// TestOwnersOnTheWay has a file, a folder and a link in turn belong to an account that is not
// trusted. It needs root, which alone can give files away.
func TestOwnersOnTheWay(t *testing.T) {
	if os.Geteuid() != 0 {
		return // TestOpen has the same check with this account
	}
	for _, stranger := range []string{"a", "a/file", "l"} {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Mkdir(dir+"/a", 0o755), os.WriteFile(dir+"/a/file", nil, 0o644), os.Symlink("a/file", dir+"/l"), os.Lchown(dir+"/"+stranger, 12345, 0)); err != nil {
			t.Fatal(err)
		}
		_, _, err = Open(dir+"/l", func(uid int) bool { return uid == 0 })
		if unsafe, _ := errors.AsType[*UnsafeError](err); unsafe == nil || unsafe.Owner != 12345 || unsafe.Path != filepath.Join(dir, stranger) {
			t.Errorf("%s: got %v, want the owner 12345", stranger, err)
		}
		f, owner, err := Open(dir+"/l", func(uid int) bool { return uid == 0 || uid == 12345 })
		if err != nil || (owner == 12345) != (stranger == "a/file") {
			t.Errorf("%s, trusted: got %d, %v", stranger, owner, err)
		} else {
			f.Close()
		}
	}
}
