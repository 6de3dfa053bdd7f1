//go:build nodisk

package gamelan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestNoDisk: a program without the disk store refuses a data directory before it makes one, and
// says what to do.
func TestNoDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for name, do := range map[string]func() error{
		"start": func() error { _, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir}); return err },
		"check": func() error { _, err := gamelan.CheckStore(dir); return err },
	} {
		err := do()
		_, typed := errors.AsType[*peerstore.DirError](err)
		if !errors.Is(err, peerstore.ErrNoDisk) || !typed || !strings.Contains(err.Error(), "leave DataDir empty, or build the program without the tag nodisk") {
			t.Errorf("%s: got %v, want an error that says what to do", name, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v of the directory, want none", err)
	}
}
