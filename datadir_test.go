package gamelan_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestDataDirOfOthers starts nodes in directories that somebody else owns or can
// change, whose store is a link, and whose kept port is one.
func TestDataDirOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the system has no such owners and modes
	}
	refused := func(dir string) {
		t.Helper()
		n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, NoDHT: true})
		if err == nil {
			n.Close(t.Context())
		}
		if _, ok := errors.AsType[*datadir.UnsafeError](err); !ok {
			t.Errorf("start: got %v, want the directory refused", err)
		}
	}
	make := func() string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}

	dir := make()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "peers")); err != nil {
		t.Fatal(err)
	}
	refused(dir)

	dir = make()
	if _, err := gamelan.CreateIdentity(dir, protocol.LocalNet); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // else the mode is what is wrong
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	}
	refused(dir)
	for name, use := range map[string]func(string, protocol.Network) error{
		"load":   func(dir string, _ protocol.Network) error { _, err := gamelan.LoadIdentity(dir); return err },
		"create": func(dir string, n protocol.Network) error { _, err := gamelan.CreateIdentity(dir, n); return err },
	} {
		if _, ok := errors.AsType[*datadir.UnsafeError](use(dir, protocol.LocalNet)); !ok {
			t.Errorf("%s: got the directory accepted", name)
		}
	}

	dir, victim := make(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "listen")); err != nil {
		t.Fatal(err)
	}
	n, _ := startedAt(t, dir)
	n.Close(t.Context())
	if b, err := os.ReadFile(victim); err != nil || string(b) != "kept" {
		t.Errorf("the file that the port's name led to: got %q, %v, want it as it was", b, err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "listen")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the kept port: got %v, %v, want a file", info, err)
	}
}
