//go:build !nodisk

package kv_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

func TestPebble(t *testing.T) {
	kvtest.Conformance(t, func(t *testing.T) kv.DB {
		db, err := kv.OpenPebble(t.TempDir())
		if err != nil {
			t.Fatalf("open: got %v, want nil", err)
		}
		return db
	})
}

// BenchmarkGroupCommit measures synced batches of one record from many
// goroutines at once; they share syncs.
func BenchmarkGroupCommit(b *testing.B) {
	db, err := kv.OpenPebble(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	value := make([]byte, 300)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var batch kv.Batch
			batch.Set([]byte("some key of a peer"), value)
			if err := db.Apply(&batch, true); err != nil {
				b.Error(err)
			}
		}
	})
}
