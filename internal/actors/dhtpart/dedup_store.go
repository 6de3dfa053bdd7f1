package dhtpart

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// The dedup records are stored in segments, because a change of the store costs much
// more than a record. A segment is written once. Its key is the prefix and a growing
// number, big-endian; its value is a sequence of hashes, each followed by its record.
// Of two records of one hash, the record in the segment with the higher number counts.
// An evicted record stays on disk until its segment is deleted. LoadDedup loads such
// records too; Dedup then evicts records again and keeps fingerprints of them.
const (
	dedupPrefix = 'd' // the peer store has a different prefix
	dedupKeyLen = 1 + 8
	dedupItem   = len(wire.Hash{}) + dht.DedupRecordLen

	// dedupChunk is the maximum number of records in one write.
	dedupChunk = 1024
	// dedupSegments bounds the number of segments. A write may exceed it for a moment
	// and then merges segments.
	dedupSegments = 256
)

func segmentKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{dedupPrefix}, n) }

// decodeSegment returns the number of a segment, its records in the order in which they
// were written, and how many of them cannot be read. A segment that cannot be read at
// all counts as one damaged record.
func decodeSegment(key, value []byte) (n uint64, list []dht.DedupRecord, damaged int) {
	if len(key) != dedupKeyLen || len(value)%dedupItem != 0 || len(value) == 0 {
		return 0, nil, 1
	}
	list = make([]dht.DedupRecord, 0, len(value)/dedupItem)
	for item := range slices.Chunk(value, dedupItem) {
		r, err := dht.DecodeDedupRecord(wire.Hash(item), item[len(wire.Hash{}):])
		if err != nil {
			damaged++
			continue
		}
		list = append(list, r)
	}
	return binary.BigEndian.Uint64(key[1:]), list, damaged
}

// LoadDedup returns a Dedup with the records that db holds, and the number of damaged
// records. If there are damaged records, the first write of the actor that [NewDedup]
// returns rewrites all records without them (spec: dht 4.2, V29).
//
// The records are loaded in the order of their last hits. If there are more than the
// capacity, Dedup evicts records as it does whenever it is full. A last hit after wall,
// the time of the system's clock, was recorded before that clock was set back: the
// records with such hits keep their order and count as just seen. In this case too, the
// first write rewrites all records.
func LoadDedup(db kv.DB, capacity int, wall time.Time) (d *dht.Dedup, damaged int, err error) {
	place := make(map[wire.Hash]int)
	var all []dht.DedupRecord
	entries, scanErr := db.Scan([]byte{dedupPrefix})
	for key, value := range entries {
		_, list, bad := decodeSegment(key, value)
		damaged += bad
		for _, r := range list {
			if i, ok := place[r.Hash]; ok {
				all[i] = r
				continue
			}
			place[r.Hash] = len(all)
			all = append(all, r)
		}
	}
	if err := scanErr(); err != nil {
		return nil, 0, fmt.Errorf("read the dedup records: %w", err)
	}
	slices.SortStableFunc(all, func(a, b dht.DedupRecord) int { return a.LastHit.Compare(b.LastHit) })
	corrected := setBack(all, wall)
	d = dht.NewDedup(capacity)
	if err := d.Remember(rand.Reader); err != nil {
		return nil, 0, err
	}
	for _, r := range all { // records that do not fit stay on disk until their segments are deleted
		d.Load(r)
	}
	if damaged > 0 || corrected {
		d.Rewrite()
	}
	return d, damaged, nil
}

// setBack moves last hits that are after wall: the latest becomes wall, and each one
// before it is at least a nanosecond earlier. Hits at or before wall move as well where
// that is needed to keep the order. The records are sorted by last hit. setBack reports
// whether any last hit was after wall.
func setBack(all []dht.DedupRecord, wall time.Time) bool {
	if n := len(all); n == 0 || !all[n-1].LastHit.After(wall) {
		return false
	}
	limit := wall.Add(1)
	for i := len(all) - 1; i >= 0 && !all[i].LastHit.Before(limit); i-- {
		limit = limit.Add(-1)
		all[i].LastHit = limit
	}
	return true
}

// dedupStore writes the records of a Dedup to the disk. It outlives the actor that uses
// it: a write goes on after its actor has ended, and no other write begins until then.
type dedupStore struct {
	db kv.Client // nil: nothing is kept for the next start

	turn     sync.Mutex  // one write at a time
	unsynced atomic.Bool // records were written since the last sync
	written  atomic.Uint64
	owed     []*actor.PID // senders of Drain, answered after the next write; used by the dedup actor alone

	// Guarded by turn: the state of the disk.
	diskRead bool
	segments map[uint64]segment
	place    map[wire.Hash]uint64 // the segment of each record that counts
	items    int                  // in all segments
	next     uint64
}

// segment holds the number of records in a segment, and how many of them still count.
type segment struct{ items, live int }

// errDedupWriting reports that a write of an earlier incarnation is still under way.
var errDedupWriting = errors.New("dht: another write of dedup records goes on")

// errDedupDamaged reports a segment that was damaged while the node runs. The write fails, and the
// next one writes all records from memory.
var errDedupDamaged = errors.New("dht: dedup records on the disk were damaged; all are written again")

// write makes the store equal to d. With sync, the records survive a loss of power once
// write has returned nil. After a failed write the next write rewrites all records. If
// the store was reopened after a disk failure, this write rewrites all records itself.
// write blocks. It returns errDedupWriting while another write is under way.
func (s *dedupStore) write(d *dht.Dedup, sync bool) error {
	if !s.turn.TryLock() {
		return errDedupWriting
	}
	defer s.turn.Unlock()
	return s.writeInTurn(d, sync)
}

// writeInTurn is write for a caller that has locked turn.
func (s *dedupStore) writeInTurn(d *dht.Dedup, sync bool) error {
	done := false
	defer func() {
		if !done { // an error or a panic
			s.diskRead = false
			d.Rewrite()
		}
	}()
	err := kv.Reapplied(func(anew bool) error {
		if anew { // the last writes before may be lost
			s.diskRead = false
			d.Rewrite()
		}
		return s.writeAll(d, sync)
	})
	if err != nil {
		return fmt.Errorf("write the dedup records: %w", err)
	}
	done = true
	return nil
}

// writeAll writes the changes that are pending when it begins, and perhaps some later
// changes. It ends even if changes keep coming.
func (s *dedupStore) writeAll(d *dht.Dedup, sync bool) error {
	if s.db == nil {
		s.written.Add(uint64(len(d.Changes(d.Pending()).Put)))
		return nil
	}
	if err := s.look(); err != nil {
		return err
	}
	capacity := d.Stats().Capacity
	if len(s.place) > capacity { // records that were evicted before a restart are still on disk
		d.Rewrite()
	}
	limit := 2*capacity + dedupChunk
	for left := d.Pending(); left > 0; {
		c := d.Changes(dedupChunk)
		if c.Whole {
			if err := s.writeAnew(c.Put); err != nil {
				return err
			}
			break
		}
		left -= max(1, len(c.Gone)+len(c.Put))
		for _, h := range c.Gone {
			s.leave(h)
		}
		if err := s.add(c.Put, nil); err != nil {
			return err
		}
		for s.items > limit || len(s.segments) > dedupSegments {
			if err := s.merge(); err != nil {
				return err
			}
		}
	}
	if !sync {
		return nil
	}
	if err := s.db.Apply(new(kv.Batch), true); err != nil { // an empty batch syncs all earlier ones
		return err
	}
	s.unsynced.Store(false)
	return nil
}

// look reads the state of the disk, unless that was done.
func (s *dedupStore) look() error {
	if s.diskRead {
		return nil
	}
	s.segments, s.place = make(map[uint64]segment), make(map[wire.Hash]uint64)
	s.items, s.next = 0, 0
	entries, scanErr := s.db.Scan([]byte{dedupPrefix})
	for key, value := range entries {
		if n, list, damaged := decodeSegment(key, value); len(list) > 0 { // writeAnew deletes segments without a readable record
			s.put(n, list, damaged)
		}
	}
	if err := scanErr(); err != nil {
		return err
	}
	s.diskRead = true
	return nil
}

// put records that the disk has segment n, whose number is above all others.
func (s *dedupStore) put(n uint64, list []dht.DedupRecord, damaged int) {
	for i := range list {
		s.leave(list[i].Hash)
		s.place[list[i].Hash] = n
		g := s.segments[n]
		g.live++
		s.segments[n] = g
	}
	g := s.segments[n]
	g.items = len(list) + damaged
	s.segments[n] = g
	s.items += g.items
	s.next = n + 1
}

// leave records that the record of h on the disk no longer counts.
func (s *dedupStore) leave(h wire.Hash) {
	n, ok := s.place[h]
	if !ok {
		return
	}
	delete(s.place, h)
	g := s.segments[n]
	g.live--
	s.segments[n] = g
}

// add writes the records into a new segment, and deletes the merged segments and all
// segments without a record that counts.
func (s *dedupStore) add(list []dht.DedupRecord, merged []uint64) error {
	var b kv.Batch
	if len(list) > 0 {
		value := make([]byte, 0, len(list)*dedupItem)
		for i := range list {
			value = append(value, list[i].Hash[:]...)
			value = list[i].Append(value)
		}
		b.Set(segmentKey(s.next), value)
		s.put(s.next, list, 0)
	}
	for n, g := range s.segments { // the order does not matter: all changes are one batch
		if g.live == 0 || slices.Contains(merged, n) {
			b.Delete(segmentKey(n))
			delete(s.segments, n)
			s.items -= g.items
		}
	}
	if b.Len() == 0 {
		return nil
	}
	s.unsynced.Store(true)
	if err := s.db.Apply(&b, false); err != nil {
		return err
	}
	s.written.Add(uint64(len(list)))
	return nil
}

// merge replaces the segments with the fewest records that count by one new segment.
func (s *dedupStore) merge() error {
	type candidate struct {
		n    uint64
		live int
	}
	var all []candidate
	for n, g := range s.segments {
		all = append(all, candidate{n, g.live})
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if a.live != b.live {
			return a.live - b.live
		}
		return int(a.n) - int(b.n)
	})
	var list []dht.DedupRecord
	var merged []uint64
	for _, c := range all {
		if len(merged) >= 2 && len(list)+c.live > dedupChunk {
			break
		}
		value, err := s.db.Get(segmentKey(c.n))
		if err != nil {
			return err
		}
		_, records, _ := decodeSegment(segmentKey(c.n), value)
		before := len(list)
		for _, r := range records {
			if n, ok := s.place[r.Hash]; ok && n == c.n {
				list = append(list, r)
			}
		}
		if len(list)-before != c.live {
			return errDedupDamaged
		}
		merged = append(merged, c.n)
	}
	return s.add(list, merged)
}

// writeAnew makes the store hold these records and no others.
func (s *dedupStore) writeAnew(all []dht.DedupRecord) error {
	var old [][]byte
	entries, scanErr := s.db.Scan([]byte{dedupPrefix})
	for key := range entries {
		old = append(old, slices.Clone(key))
	}
	if err := scanErr(); err != nil {
		return err
	}
	s.segments, s.place, s.items = make(map[uint64]segment), make(map[wire.Hash]uint64), 0
	for list := range slices.Chunk(all, dedupChunk) { // with numbers above the old segments
		if err := s.add(list, nil); err != nil {
			return err
		}
	}
	for keys := range slices.Chunk(old, dedupChunk) {
		var b kv.Batch
		for _, key := range keys {
			b.Delete(key)
		}
		s.unsynced.Store(true)
		if err := s.db.Apply(&b, false); err != nil {
			return err
		}
	}
	return nil
}
