package nodedir

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// TestDirectoryOfAnotherUser has a data directory that is not ours refused, with
// the command that takes it over.
func TestDirectoryOfAnotherUser(t *testing.T) {
	err := Unusable("/srv/my node", &datadir.UnsafeError{Path: "/srv/my node", Owner: 12, User: 34})
	f, ok := errors.AsType[*failure.Error](err)
	if !ok || f.Message != "/srv/my node belongs to another user (uid 12; this program runs as uid 34)" ||
		f.Hint != `run this program as uid 12, or take it over with "chown -R 34 '/srv/my node'"` {
		t.Errorf("got %+v", f)
	}
	if runtime.GOOS == "windows" {
		return // the system has no such owners
	}
	dir := Named(filepath.Join(t.TempDir(), "data"))
	if err := dir.Make(); err != nil {
		t.Fatal(err)
	}
	want := "belongs to another user (uid 54321; "
	if os.Geteuid() == 0 {
		if err := os.Chown(dir.Path, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	} else { // who may give nothing away opens it to others
		want = "can be changed by others (mode 0777)"
		if err := os.Chmod(dir.Path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, use := range map[string]func() error{
		"make":   dir.Make,
		"hold":   func() error { _, err := dir.Hold(); return err },
		"load":   func() error { _, err := dir.Load(); return err },
		"create": func() error { _, err := dir.Create(0, ""); return err },
	} {
		if err := use(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", name, err, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/home/a/node-1": "/home/a/node-1", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q): got %s, want %s", in, got, want)
		}
	}
}
