//go:build !nodisk

package kvtest

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Crashable is a disk in memory, that a crash of its node leaves as a real one would be.
type Crashable struct{ files *vfs.MemFS }

// NewCrashable returns an empty disk.
func NewCrashable() *Crashable { return &Crashable{vfs.NewCrashableMem()} }

// Open opens the store of a directory of the disk.
func (c *Crashable) Open(dir string) (kv.DB, error) { return kv.OpenPebbleOn(dir, c.files) }

// Crash returns the disk as it is after a crash, with that many percent of what was not synced.
func (c *Crashable) Crash(unsynced int) *Crashable {
	return &Crashable{c.files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(1, 1))})}
}
