//go:build !nodisk

package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is a checksum of everything in the store but bulk entries, written with every batch. It
// shows that entries have vanished: Pebble takes a damaged end of its manifest for
// the end, and reports no error.
type guard struct {
	generation uint64 // number of batches applied
	count      uint64 // entries
	sum        uint64 // of the entries' hashes; independent of their order
}

// guardKey is the key of the guard. Its value is the three numbers, big-endian.
var guardKey = []byte("\x00guard")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// hash returns a hash of one entry. It detects damage, not malice.
func hash(key, value []byte) uint64 {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(key)))
	c := crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, key)
	c = crc32.Update(c, castagnoli, value)
	h := (uint64(c)<<32 | uint64(uint32(len(value)))) * 0x9e3779b97f4a7c15
	h ^= h >> 32
	return h * 0xd6e8feb86659fd93
}

func (g *guard) add(key, value []byte) {
	g.count++
	g.sum += hash(key, value)
}

func (g *guard) remove(key, value []byte) {
	g.count--
	g.sum -= hash(key, value)
}

func (g guard) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, g.generation)
	b = binary.BigEndian.AppendUint64(b, g.count)
	return binary.BigEndian.AppendUint64(b, g.sum)
}

// readGuard returns the guard that is stored; ok is false when there is none.
func readGuard(db *pebble.DB) (g guard, ok bool, err error) {
	value, closer, err := db.Get(guardKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return g, false, nil
	}
	if err != nil {
		return g, false, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	if len(value) != 24 {
		return g, false, fmt.Errorf("%w: a guard of %d bytes", ErrCorrupt, len(value))
	}
	g.generation = binary.BigEndian.Uint64(value)
	g.count = binary.BigEndian.Uint64(value[8:])
	g.sum = binary.BigEndian.Uint64(value[16:])
	return g, true, nil
}

// countGuard reads all entries but bulk ones and returns the guard that they must have,
// without the generation. If visit is not nil, countGuard calls it for each entry, and reads
// bulk ones as well.
func countGuard(db *pebble.DB, visit func(key, value []byte)) (g guard, err error) {
	err = iterate(db, nil, nil, func(key, value []byte) bool {
		switch {
		case key[0] != Bulk:
			g.add(key, value)
		case visit == nil:
			return false
		}
		if visit != nil {
			visit(key, value)
		}
		return true
	})
	return g, err
}

// witness is a small file beside the database with the last generation that was on
// the disk: a database with an earlier generation has lost something. It is written
// in place, into one of two slots in turn, so that a torn write leaves the other
// slot. The file is not synced: the generation that it names always is, so an old
// number after a power cut only detects less.
type witness struct {
	mu         sync.Mutex
	path       string
	file       vfs.File
	generation uint64
	next       int // slot
}

const (
	witnessName  = "GENERATION"
	witnessMagic = "GML\x01"
	slotSize     = 512 // bytes that a disk writes at once
)

func witnessPath(dir string) string { return filepath.Join(dir, witnessName) }

func slot(generation uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte(witnessMagic), generation)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, make([]byte, slotSize-len(b))...)
}

// readWitness returns the generation in the file, 0 when there is no file.
func readWitness(dir string, files vfs.FS) (generation uint64, err error) {
	f, err := files.Open(witnessPath(dir))
	if isNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	ok, b := false, make([]byte, 2*slotSize)
	n, err := f.ReadAt(b, 0)
	if err = errors.Join(notEOF(err), f.Close()); err != nil {
		return 0, err
	}
	for at := 0; at+slotSize <= n; at += slotSize {
		s := b[at : at+slotSize]
		g := binary.BigEndian.Uint64(s[len(witnessMagic):])
		if bytes.Equal(s, slot(g)) {
			generation, ok = max(generation, g), true
		}
	}
	if !ok {
		return 0, &witnessError{}
	}
	return generation, nil
}

// witnessError reports a damaged witness; the database may be whole.
type witnessError struct{}

func (*witnessError) Error() string { return "the file " + witnessName + " is damaged" }

// openWitness opens the file for writing and makes it if it is not there.
func openWitness(dir string, files vfs.FS, generation uint64) (_ *witness, err error) {
	w := &witness{path: witnessPath(dir), generation: generation}
	if _, err := files.Stat(w.path); isNotExist(err) {
		if err := makeWitness(dir, files, generation); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if w.file, err = files.OpenReadWrite(w.path, vfs.WriteCategoryUnspecified); err != nil {
		return nil, err
	}
	return w, nil
}

func makeWitness(dir string, files vfs.FS, generation uint64) (err error) {
	draft := filepath.Join(dir, "temporary."+witnessName)
	f, err := files.Create(draft, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	s := slot(generation)
	_, err = f.Write(append(bytes.Clone(s), s...))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := files.Rename(draft, witnessPath(dir)); err != nil {
		return err
	}
	return syncDir(dir, files)
}

func syncDir(dir string, files vfs.FS) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// note writes to the witness that the generation is on the disk.
func (w *witness) note(generation uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if generation <= w.generation {
		return nil
	}
	if _, err := w.file.WriteAt(slot(generation), int64(w.next*slotSize)); err != nil {
		return err
	}
	w.generation, w.next = generation, 1-w.next
	return nil
}

func (w *witness) close() error { return errors.Join(w.file.Sync(), w.file.Close()) }
