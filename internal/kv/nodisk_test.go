//go:build nodisk

package kv_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// TestWithoutADisk: a program without the disk store refuses every directory with an error that
// says what to do, and makes none.
func TestWithoutADisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for name, do := range map[string]func() error{
		"open":  func() error { _, err := kv.OpenPebble(dir); return err },
		"check": func() error { _, err := kv.Check(dir, nil); return err },
		"ask":   func() error { return kv.Available(dir) },
	} {
		err := do()
		at, ok := errors.AsType[*kv.DirError](err)
		if !errors.Is(err, kv.ErrNoDisk) || !ok || at.Dir != dir || !strings.Contains(err.Error(), "leave DataDir empty") {
			t.Errorf("%s: got %v, want an error of the directory that says what to do", name, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v of the directory, want none", err)
	}
}
