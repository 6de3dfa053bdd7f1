package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// TestDirectoryOfAnotherUser has a data directory that is not ours refused, with
// the command that takes it over.
func TestDirectoryOfAnotherUser(t *testing.T) {
	err := unusable("/srv/my node", &datadir.UnsafeError{Path: "/srv/my node", Owner: 12, User: 34})
	f, ok := errors.AsType[*failure](err)
	if !ok || f.message != "/srv/my node belongs to another user (uid 12; this program runs as uid 34)" ||
		f.hint != `run this program as uid 12, or take it over with "chown -R 34 '/srv/my node'"` {
		t.Errorf("got %+v", f)
	}
	if runtime.GOOS == "windows" {
		return // the system has no such owners
	}
	dir := newDataDir(filepath.Join(t.TempDir(), "data"))
	if err := dir.make(); err != nil {
		t.Fatal(err)
	}
	want := "belongs to another user (uid 54321; "
	if os.Geteuid() == 0 {
		if err := os.Chown(dir.path, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	} else { // who may give nothing away opens it to others
		want = "can be changed by others (mode 0777)"
		if err := os.Chmod(dir.path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, use := range map[string]func() error{
		"make":   dir.make,
		"hold":   func() error { _, err := dir.hold(); return err },
		"load":   func() error { _, err := dir.load(); return err },
		"create": func() error { _, err := dir.create(0); return err },
	} {
		if err := use(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", name, err, want)
		}
	}
}
