//go:build !nodisk

package kv

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPowerCut cuts the power again and again, at which a random part of what
// was not synced is lost: what was acknowledged is there, of what was applied
// without sync only the end is not, and the store always opens.
func TestPowerCut(t *testing.T) {
	seeds := uint64(4)
	if raceEnabled {
		seeds = 1
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		files := vfs.NewCrashableMem()
		applied, synced := 0, 0
		for round := range 6 {
			db, err := openPebble("/store", files)
			if err != nil {
				t.Fatalf("seed %d, round %d: got %v, want a store", seed, round, err)
			}
			there := count(t, db)
			if there < synced || there > applied {
				t.Fatalf("seed %d, round %d: got %d entries, want at least the %d acknowledged of %d", seed, round, there, synced, applied)
			}
			for i := range there {
				if _, err := db.Get(fmt.Append(nil, "key ", i)); err != nil {
					t.Fatalf("seed %d, round %d: got %v of entry %d, want the first %d", seed, round, err, i, there)
				}
			}
			applied, synced = there, there
			for range r.IntN(60) {
				size := r.IntN(20 << 10)
				if r.IntN(100) == 0 {
					size = 3 << 20 // a new log
				}
				var b Batch
				b.Set(fmt.Append(nil, "key ", applied), []byte(strings.Repeat("v", size)))
				sync := r.IntN(3) == 0
				check(t, db.Apply(&b, sync))
				if applied++; sync {
					synced = applied
				}
			}
			after := files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(100), RNG: r})
			closeDB(t, db)
			files = after
		}
	}
}
