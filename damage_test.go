package gamelan_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestDamagedStoreIsNotStartedWith breaks the end of the file that says which
// tables count; by itself that looks like an empty store.
func TestDamagedStoreIsNotStartedWith(t *testing.T) {
	dir := t.TempDir()
	if r, err := gamelan.CheckStore(dir); err != nil || r.Exists {
		t.Errorf("nothing there: got %+v, %v, want no store", r, err)
	}
	for range 2 { // the second start writes tables
		n := start(t, gamelan.Config{DataDir: dir, Listen: []string{gamelan.ListenNowhere}}, nil)
		if err := n.Peers().Add(t.Context(), peerstore.Peer{Key: identity.PublicKey{7}}); err != nil {
			t.Fatal(err)
		}
		if _, err := gamelan.CheckStore(dir); !errors.Is(err, peerstore.ErrInUse) {
			t.Errorf("in use: got %v, want ErrInUse", err)
		}
		if err := n.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	r, err := gamelan.CheckStore(dir)
	if err != nil || !r.Exists || r.Peers != 1 || r.Schema != r.Current || r.Upgrade {
		t.Errorf("whole: got %+v, %v, want one peer", r, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "peers", "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("got %q, %v, want a manifest", names, err)
	}
	newest := slices.Max(names)
	b, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(newest, b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantNoStart(t, gamelan.Config{DataDir: dir}, peerstore.ErrDamaged, filepath.Join(dir, "peers"), "restore it from a copy")
	_, err = gamelan.CheckStore(dir)
	if e, ok := errors.AsType[*peerstore.DirError](err); !ok || !errors.Is(err, peerstore.ErrDamaged) || e.Dir != filepath.Join(dir, "peers") {
		t.Errorf("damaged: got %v, want a DirError of ErrDamaged", err)
	}
}
