package store

import (
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Loaded describes what Load has read.
type Loaded struct {
	Messages int
	Damaged  int         // entries that could not be read; they are deleted
	Next     uint64      // the least number that was never used: see [saf.Index.From]
	Round    uint64      // for [Batch]
	Visits   []saf.Visit // by the system's clock
}

// deleteMost is how many entries or changes one write has that no message waits for.
const deleteMost = 1024

// Load calls use for each message, in the order of the numbers, and deletes entries that
// cannot be read. It reads heads only; a message whose envelope is missing is found when
// it is asked for. From then on, writes of earlier rounds are refused, so that nothing
// changes behind the back of what was loaded.
func (s *Store) Load(use func(saf.Record)) (l Loaded, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	var damaged [][]byte // keys
	confirmed := make(map[uint64]uint8)
	entries, scanErr := s.disk.Scan([]byte{keyPrefix, keyConfirmed})
	for key, value := range entries {
		seq, ok := seqOf(key)
		sent, readable := decodeConfirmed(value)
		if !ok || !readable {
			damaged = append(damaged, slices.Clone(key))
			continue
		}
		confirmed[seq] = sent
		s.confirmed[seq] = struct{}{}
	}
	if err := scanErr(); err != nil {
		return l, fmt.Errorf("read the stored messages: %w", err)
	}
	deleted := make(map[uint64]bool)
	for _, c := range s.owed { // as if it were on the disk
		if confirmed[c.seq] = c.sent; c.sent == 0 {
			deleted[c.seq] = true
		}
	}
	entries, scanErr = s.disk.Scan([]byte{keyPrefix, keyHead})
	for key, value := range entries {
		seq, ok := seqOf(key)
		r, readable := decodeHead(value)
		if !ok || !readable {
			damaged = append(damaged, slices.Clone(key))
			if ok {
				damaged = append(damaged, messageKey(keyEnvelope, seq))
			}
			l.Damaged++
			continue
		}
		s.next = max(s.next, seq+1)
		if deleted[seq] {
			continue
		}
		r.Seq, r.Sent = seq, confirmed[seq]
		delete(confirmed, seq)
		use(r)
		l.Messages++
	}
	if err := scanErr(); err != nil {
		return Loaded{}, fmt.Errorf("read the stored messages: %w", err)
	}
	entries, scanErr = s.disk.Scan([]byte{keyPrefix, keyVisit})
	for key, value := range entries {
		v, readable := decodeVisit(key, value)
		if !readable {
			damaged = append(damaged, slices.Clone(key))
			continue
		}
		l.Visits = append(l.Visits, v)
	}
	if err := scanErr(); err != nil {
		return Loaded{}, fmt.Errorf("read the stored messages: %w", err)
	}
	s.round++
	l.Next, l.Round = s.next, s.round
	for seq := range confirmed { // of messages that are not there
		damaged = append(damaged, messageKey(keyConfirmed, seq))
	}
	s.drop(damaged)
	return l, nil
}

// drop deletes entries. If the disk fails, they stay for the next Load, and the next write
// finds out.
func (s *Store) drop(keys [][]byte) {
	for part := range slices.Chunk(keys, deleteMost) {
		var b kv.Batch
		for _, key := range part {
			b.Delete(key)
		}
		s.unsynced = true
		if err := s.disk.Apply(&b, false); err != nil {
			s.anew = true
			return
		}
	}
}
