package dht

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

// The dedup records lie on the disk in segments, because a change of the store
// costs much more than a record. A segment is written once: its key is the
// prefix and a number that grows, big-endian, its value hashes, each with its
// record behind. Of two records of a hash that with the higher number counts.
// What was forgotten stays until its segment goes: LoadDedup gives it to the Dedup
// with the others, which forgets of each peer's again, and remembers fingerprints.
const (
	dedupPrefix = 'd' // the peer store has another one
	dedupKeyLen = 1 + 8
	dedupItem   = len(wire.Hash{}) + dht.DedupRecordLen

	// dedupChunk is how many records are written at a time.
	dedupChunk = 1024
	// dedupSegments is how many segments there are at most, but for a moment.
	dedupSegments = 256
)

func segmentKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{dedupPrefix}, n) }

// decodeSegment returns the number of a segment and its records, the later ones
// of equal hashes behind, and how many cannot be read: one for a segment that is
// none.
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

// LoadDedup returns what db keeps of the messages that were seen, and how many
// of its records cannot be read. If there are some, the first write of the actor
// that [NewDedup] makes writes everything anew, without them (spec: dht 4.2,
// V29).
//
// Records are ranked by the times of their last hits, which have the order of the
// hits; which of them fit the Dedup decides as it does when it is full. Those later than wall, the system's clock, were written before it was set
// back: they keep their order, and are taken for just seen. Then, too, everything
// is written anew.
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
	for _, r := range all { // more than fit: what is forgotten is on the disk until its segment goes
		d.Load(r)
	}
	if damaged > 0 || corrected {
		d.Rewrite()
	}
	return d, damaged, nil
}

// setBack puts last hits after wall before it, a nanosecond apart, and those
// before them that this would overtake. The records are sorted. It reports
// whether there was one.
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

// dedupStore is the way from a Dedup to the disk. It outlives the actor that
// uses it: a write that was begun goes on when its actor has ended, and no other
// one begins meanwhile.
type dedupStore struct {
	db kv.Client

	turn     sync.Mutex  // one write at a time
	unsynced atomic.Bool // something was written since the last sync
	written  atomic.Uint64
	owed     []*actor.PID // who asked for a Drain and waits for a write; dedup alone uses it

	// Under turn: what is on the disk.
	known    bool
	segments map[uint64]segment
	place    map[wire.Hash]uint64 // the segment of each record that counts
	items    int                  // in all segments
	next     uint64
}

// segment says how many records it has, and how many of them still count.
type segment struct{ items, live int }

// errDedupWriting reports that a write of an earlier incarnation still goes on.
var errDedupWriting = errors.New("dht: another write of dedup records goes on")

// dedupOpenings is how often in one write the store may be opened anew.
const dedupOpenings = 3

// write makes the disk hold what d holds now; with sync it is safe from the loss
// of power when write returns nil. If it fails, the next write writes everything
// anew, and so does this one when the store was opened anew after a failure of
// its disk. It blocks, and fails with errDedupWriting while another write goes
// on.
func (s *dedupStore) write(d *dht.Dedup, sync bool) error {
	if !s.turn.TryLock() {
		return errDedupWriting
	}
	defer s.turn.Unlock()
	done := false
	defer func() {
		if !done { // also if it panics
			s.known = false
			d.Rewrite()
		}
	}()
	err := s.writeAll(d, sync)
	for try := 1; try < dedupOpenings && errors.Is(err, kv.ErrReopened); try++ {
		s.known = false // the end of what was written before may be lost
		d.Rewrite()
		err = s.writeAll(d, sync)
	}
	if err != nil {
		return fmt.Errorf("write the dedup records: %w", err)
	}
	done = true
	return nil
}

// writeAll writes as much as there is to write when it begins, and perhaps some
// of what comes meanwhile: it ends, however much comes.
func (s *dedupStore) writeAll(d *dht.Dedup, sync bool) error {
	if err := s.look(); err != nil {
		return err
	}
	capacity := d.Stats().Capacity
	if len(s.place) > capacity { // what was forgotten before a restart
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
	if err := s.db.Apply(new(kv.Batch), true); err != nil { // of all that was written before
		return err
	}
	s.unsynced.Store(false)
	return nil
}

// look finds out what is on the disk, unless it is known.
func (s *dedupStore) look() error {
	if s.known {
		return nil
	}
	s.segments, s.place = make(map[uint64]segment), make(map[wire.Hash]uint64)
	s.items, s.next = 0, 0
	entries, scanErr := s.db.Scan([]byte{dedupPrefix})
	for key, value := range entries {
		if n, list, damaged := decodeSegment(key, value); len(list) > 0 { // writeAnew deletes the others
			s.put(n, list, damaged)
		}
	}
	if err := scanErr(); err != nil {
		return err
	}
	s.known = true
	return nil
}

// put notes a segment with a number above all others.
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

// leave notes that the record of h on the disk does not count any more.
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

// add writes the records into a new segment, and deletes the segments given and
// those in which nothing counts any more.
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
	for n, g := range s.segments { // in any order: it is one batch
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

// merge makes one segment of those in which the fewest records count.
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
		for _, r := range records {
			if n, ok := s.place[r.Hash]; ok && n == c.n {
				list = append(list, r)
			}
		}
		merged = append(merged, c.n)
	}
	return s.add(list, merged)
}

// writeAnew makes the disk hold these records and no others.
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
	for list := range slices.Chunk(all, dedupChunk) { // above the old ones
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
