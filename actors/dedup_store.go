package actors

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// dedupPrefix is the first byte of the key of a kept dedup record; the hash
// follows. The peer store has another one.
const dedupPrefix = 'd'

// dedupChunk is how many records are written together at most.
const dedupChunk = 1024

// LoadDedup returns what db keeps of the messages that were seen, and how many
// of its records cannot be read. Those, and what does not fit, are deleted by
// the first write of the actor that [NewDedup] makes (spec: dht 4.2, V29).
func LoadDedup(db kv.DB, capacity int) (d *dht.Dedup, damaged int, err error) {
	var all []dht.DedupRecord
	entries, scanErr := db.Scan([]byte{dedupPrefix})
	for key, value := range entries {
		r, ok := decodeDedup(key, value)
		if !ok {
			damaged++
			continue
		}
		all = append(all, r)
	}
	if err := scanErr(); err != nil {
		return nil, 0, fmt.Errorf("read the dedup records: %w", err)
	}
	slices.SortStableFunc(all, func(a, b dht.DedupRecord) int { return a.LastHit.Compare(b.LastHit) })
	d = dht.NewDedup(capacity)
	for _, r := range all {
		d.Load(r)
	}
	if damaged > 0 {
		d.Rewrite()
	}
	return d, damaged, nil
}

func decodeDedup(key, value []byte) (dht.DedupRecord, bool) {
	if len(key) != 1+len(dht.Hash{}) {
		return dht.DedupRecord{}, false
	}
	r, err := dht.DecodeDedupRecord(dht.Hash(key[1:]), value)
	return r, err == nil
}

// dedupStore is the way from a Dedup to the disk. It outlives the actor that
// uses it: a write that was begun goes on when its actor has ended, and no other
// one begins meanwhile.
type dedupStore struct {
	turn     sync.Mutex  // one write at a time
	unsynced atomic.Bool // something was written since the last sync
	written  atomic.Uint64
}

// errDedupWriting reports that a write of an earlier incarnation still goes on.
var errDedupWriting = errors.New("actors: another write of dedup records goes on")

// write makes the disk hold what d holds now; with sync it is safe from the loss
// of power when write returns nil. If it fails, the next write compares all that
// is on the disk. It blocks, and fails with errDedupWriting while another write
// goes on.
func (s *dedupStore) write(db kv.DB, d *dht.Dedup, sync bool) error {
	if !s.turn.TryLock() {
		return errDedupWriting
	}
	defer s.turn.Unlock()
	done := false
	defer func() {
		if !done { // also if it panics
			d.Rewrite()
		}
	}()
	err := s.writeAll(db, d, sync)
	if errors.Is(err, kv.ErrReopened) { // the end of what was written before may be lost
		d.Rewrite()
		err = s.writeAll(db, d, sync)
	}
	if err != nil {
		return fmt.Errorf("write the dedup records: %w", err)
	}
	done = true
	return nil
}

// writeAll writes as much as there is to write when it begins, and perhaps some
// of what comes meanwhile: it ends, however much comes.
func (s *dedupStore) writeAll(db kv.DB, d *dht.Dedup, sync bool) error {
	for left := d.Pending(); left > 0; {
		c := d.Changes(dedupChunk)
		if c.Whole {
			if err := s.reconcile(db, c.Put); err != nil {
				return err
			}
			break
		}
		w := dedupBatch{room: len(c.Gone) + len(c.Put)}
		for _, h := range c.Gone {
			w.delete(h)
		}
		for i := range c.Put {
			w.set(&c.Put[i])
		}
		left -= max(1, w.room)
		if err := s.apply(db, &w); err != nil {
			return err
		}
	}
	if !sync {
		return nil
	}
	if err := db.Apply(new(kv.Batch), true); err != nil { // of all that was written before
		return err
	}
	s.unsynced.Store(false)
	return nil
}

// reconcile makes the disk hold these records and no others.
func (s *dedupStore) reconcile(db kv.DB, all []dht.DedupRecord) error {
	missing := make(map[dht.Hash]int, len(all))
	for i := range all {
		missing[all[i].Hash] = i
	}
	var gone [][]byte
	var buf []byte
	entries, scanErr := db.Scan([]byte{dedupPrefix})
	for key, value := range entries {
		r, ok := decodeDedup(key, value)
		i, wanted := missing[r.Hash]
		switch {
		case !ok || !wanted:
			gone = append(gone, bytes.Clone(key))
		default:
			if buf = all[i].Append(buf[:0]); bytes.Equal(buf, value) {
				delete(missing, r.Hash)
			}
		}
	}
	if err := scanErr(); err != nil {
		return err
	}
	for keys := range slices.Chunk(gone, dedupChunk) {
		var w dedupBatch
		for _, key := range keys {
			w.Delete(key)
		}
		if err := s.apply(db, &w); err != nil {
			return err
		}
	}
	w := dedupBatch{room: dedupChunk}
	for i := range all {
		if _, ok := missing[all[i].Hash]; !ok {
			continue
		}
		if w.set(&all[i]); w.Len() == dedupChunk {
			if err := s.apply(db, &w); err != nil {
				return err
			}
			w = dedupBatch{room: dedupChunk}
		}
	}
	return s.apply(db, &w)
}

func (s *dedupStore) apply(db kv.DB, w *dedupBatch) error {
	if w.Len() == 0 {
		return nil
	}
	s.unsynced.Store(true)
	if err := db.Apply(&w.Batch, false); err != nil {
		return err
	}
	s.written.Add(uint64(w.Len()))
	return nil
}

// dedupBatch is a batch with its keys and values side by side.
type dedupBatch struct {
	kv.Batch
	room int // changes expected
	buf  []byte
}

func (w *dedupBatch) key(h dht.Hash) []byte {
	if need := 1 + len(h) + dht.DedupRecordLen; cap(w.buf)-len(w.buf) < need {
		w.buf = make([]byte, 0, need*max(1, w.room-w.Len())) // the batch keeps the old one
	}
	start := len(w.buf)
	w.buf = append(append(w.buf, dedupPrefix), h[:]...)
	return w.buf[start:len(w.buf):len(w.buf)]
}

func (w *dedupBatch) delete(h dht.Hash) { w.Delete(w.key(h)) }

func (w *dedupBatch) set(r *dht.DedupRecord) {
	key := w.key(r.Hash)
	start := len(w.buf)
	w.buf = r.Append(w.buf)
	w.Set(key, w.buf[start:len(w.buf):len(w.buf)])
}
