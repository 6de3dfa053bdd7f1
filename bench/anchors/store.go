package anchors

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// What the anchor of dedup remembers, and writes at a time.
const (
	ringSize  = 2500
	ringBatch = 64
)

// ring remembers the last hashes under a mutex.
type ring struct {
	mu    sync.Mutex
	index map[[32]byte]struct{}
	last  [ringSize][32]byte
	next  int
}

// add reports whether the hash is new.
func (r *ring) add(h [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.index[h]; ok {
		return false
	}
	delete(r.index, r.last[r.next])
	r.last[r.next] = h
	r.next = (r.next + 1) % ringSize
	r.index[h] = struct{}{}
	return true
}

// DedupRing is store/dedup-memory-ring+pebble-v2-batch64-nosync: every hash is
// new; it goes into a ring in memory and, in batches of 64, into a fresh store,
// with a value of 44 bytes. Nothing is ever deleted from the store.
func DedupRing() harness.Case {
	return harness.Case{Name: "store/dedup-memory-ring+pebble-v2-batch64-nosync", Run: func(m *harness.Meter) (err error) {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		r := &ring{index: make(map[[32]byte]struct{}, ringSize)}
		value := body(44)
		batch := db.NewBatch()
		defer func() { err = errors.Join(err, batch.Close()) }()
		n := uint64(0)
		hashes := func() error {
			for range ringBatch {
				n++
				h := HashOf(n)
				if !r.add(h) {
					return errors.New("got a hash twice")
				}
				if err := batch.Set(h[:], value, nil); err != nil {
					return err
				}
			}
			err := batch.Commit(pebble.NoSync)
			batch.Reset()
			return err
		}
		return m.Until(ringBatch, hashes)
	}}
}

// storedBatch is how many records the anchor of stored messages writes at a time.
const storedBatch = 64

// StoredBatch is store/pebble-v2-saf64-1KiB+2idx-sync: records of 1 KiB, each with two more
// keys without a value, go into a fresh store in batches of 64, each synced.
func StoredBatch() harness.Case {
	return harness.Case{Name: "store/pebble-v2-saf64-1KiB+2idx-sync", Run: func(m *harness.Meter) (err error) {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		value := body(1 << 10)
		batch := db.NewBatch()
		defer func() { err = errors.Join(err, batch.Close()) }()
		n := uint64(0)
		return m.Until(storedBatch, func() error {
			for range storedBatch {
				n++
				h := HashOf(n)
				key := binary.BigEndian.AppendUint64([]byte{'m'}, n)
				for _, set := range []struct{ key, value []byte }{{key, value}, {append([]byte{'d'}, h[:]...), nil}, {append([]byte{'t'}, key...), nil}} {
					if err := batch.Set(set.key, set.value, nil); err != nil {
						return err
					}
				}
			}
			err := batch.Commit(pebble.Sync)
			batch.Reset()
			return err
		})
	}}
}

// HashOf makes a hash of a number, cheaply: equal ones differ, and their order
// says nothing of the numbers'.
func HashOf(n uint64) (h [32]byte) {
	for i := range 4 {
		n = (n ^ n>>31) * 0x9e3779b97f4a7c15
		binary.BigEndian.PutUint64(h[8*i:], n)
	}
	return h
}

// silent is a logger of the store's that says nothing but why it gave up.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(format)
}
