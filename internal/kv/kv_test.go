package kv_test

import (
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

func TestMemory(t *testing.T) {
	kvtest.Conformance(t, func(*testing.T) kv.DB { return kv.Memory() })
}

// TestNothing: what is applied to a store that keeps nothing is not there.
func TestNothing(t *testing.T) {
	db := kv.Nothing()
	var b kv.Batch
	b.Set([]byte("key"), []byte("value"))
	if err := db.Client().Apply(&b, true); err != nil {
		t.Fatal(err)
	}
	if v, err := db.Get([]byte("key")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %q, %v, want nothing", v, err)
	}
	entries, failed := db.Scan(nil)
	for k := range entries {
		t.Errorf("got the key %q, want none", k)
	}
	if err := errors.Join(failed(), db.Close()); err != nil {
		t.Error(err)
	}
}
