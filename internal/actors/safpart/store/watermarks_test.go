package store_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

// TestWatermarks: what was saved is there at the next start, the latest of each server, and
// an entry that cannot be read is counted.
//
// conforms: dht 107
func TestWatermarks(t *testing.T) {
	db := kv.Memory()
	w, err := store.OpenWatermarks(db.Client())
	must(t, err)
	if got := w.Loaded().List(); len(got) != 0 {
		t.Errorf("got %v of an empty disk", got)
	}
	a, b := saf.Watermark{Server: identity.NodeID{1}, Stored: 5, At: 9}, saf.Watermark{Server: identity.NodeID{2}, Stored: 7, At: 9}
	must(t, w.Save([]saf.Watermark{a, b}, nil))
	a.Stored = 6
	must(t, w.Save([]saf.Watermark{a}, nil))
	kvtest.Set(t, db, "sw damaged", "x")
	again, err := store.OpenWatermarks(db.Client())
	must(t, err)
	got := again.Loaded().List()
	if again.Damaged != 1 {
		t.Errorf("got %d damaged, want one", again.Damaged)
	}
	if len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("got %v, want %v and %v", got, a, b)
	}
}
