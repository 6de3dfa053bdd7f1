package peerstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// change is the last change of a record that may not be on the disk yet.
type change struct {
	version uint64
	batched bool // an open Batch holds it
}

// manyChanges is the number of changes above which their memory is freed when they are
// written.
const manyChanges = 4096

// Batch is a set of changes to write to the disk. The writer makes it and a task
// commits it; meanwhile the writer goes on. Several may be open at once.
type Batch struct {
	s        *Store
	ids      []identity.NodeID // in order
	versions []uint64
}

// mark notes that a record changed. The caller holds mu.
func (s *Store) mark(id identity.NodeID) {
	c, known := s.dirty[id]
	if !known || c.batched {
		s.fresh = append(s.fresh, id)
	}
	s.version++
	s.dirty[id] = change{version: s.version}
}

// Batch returns the records changed since the last Batch, or nil when there are none.
// The records of a Batch that is never committed stay in memory, and [Store.Rewind]
// puts them into the next Batch.
func (s *Store) Batch() *Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &Batch{s: s}
	for _, id := range s.fresh {
		if c, ok := s.dirty[id]; ok && !c.batched {
			s.dirty[id] = change{version: c.version, batched: true}
			b.ids = append(b.ids, id)
		}
	}
	s.fresh = s.fresh[:0]
	if cap(s.fresh) > manyChanges {
		s.fresh = nil
	}
	if len(b.ids) == 0 {
		return nil
	}
	slices.SortFunc(b.ids, identity.NodeID.Compare)
	b.versions = make([]uint64, len(b.ids))
	for i, id := range b.ids {
		b.versions[i] = s.dirty[id].version
	}
	return b
}

// Rewind makes the next Batch hold everything that no Commit has written. The writer
// calls it after a restart, because tasks of its last incarnation may have ended
// without a commit.
func (s *Store) Rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = s.fresh[:0]
	for id, c := range s.dirty {
		s.dirty[id] = change{version: c.version}
		s.fresh = append(s.fresh, id)
	}
}

// Pending returns how many changed records may not be on the disk yet.
func (s *Store) Pending() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.dirty)
}

// Unsynced reports whether a power cut, or a failure of the disk, may still lose
// records that a Commit has written.
func (s *Store) Unsynced() bool { return s.unsynced.Load() }

// SyncBatch returns a batch without records. Its Commit with sync makes the writes of
// earlier Commits without sync durable. SyncBatch returns nil when there are none.
func (s *Store) SyncBatch() *Batch {
	if !s.Unsynced() {
		return nil
	}
	return &Batch{s: s}
}

// Len returns the number of records in the batch.
func (b *Batch) Len() int { return len(b.ids) }

// Commit writes the batch, all of it or nothing. After Commit with sync has returned
// nil, the batch's changes may be acknowledged. After an error, the next Batch holds
// the same records again. When Commit finds that the store was opened anew after a
// failure of the disk, it also writes and syncs the records that were lost. Commit
// blocks on the disk and may be called from any goroutine. It writes each record as it
// is at that time, never an older state than the batch's.
//
// The records of a Commit without sync may be lost until a Commit with sync has
// returned nil, and only one with sync is sure to notice such a loss. So a writer must
// call one within a bounded time (see Unsynced).
func (b *Batch) Commit(sync bool) error {
	s := b.s
	s.commit.Lock()
	defer s.commit.Unlock()
	err := s.write(b.ids, sync)

	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range b.ids {
		c, ok := s.dirty[id]
		switch {
		case !ok || c.version != b.versions[i]: // written by another batch, or changed since
		case err == nil:
			delete(s.dirty, id)
		case c.batched:
			s.dirty[id] = change{version: c.version}
			s.fresh = append(s.fresh, id)
		}
	}
	if err != nil {
		return fmt.Errorf("write %d peers: %w", len(b.ids), err)
	}
	if len(s.dirty) == 0 && len(b.ids) > manyChanges {
		s.dirty = make(map[identity.NodeID]change) // a map never shrinks
	}
	return nil
}

// write writes the present state of these records. With them it writes, and then
// syncs, the records that the disk is known to have lost since the last sync. The
// caller holds commit.
func (s *Store) write(ids []identity.NodeID, sync bool) error {
	return kv.Reapplied(func(bool) error {
		all := ids
		if s.lost {
			differ, err := s.differing()
			if err != nil {
				return err
			}
			all, sync = slices.Concat(ids, differ), true
		}
		if !sync {
			s.unsynced.Store(true)
		}
		err := s.db.Apply(s.encode(all), sync)
		switch {
		case errors.Is(err, kv.ErrReopened):
			s.lost = true
		case err == nil && sync:
			s.lost = false
			s.unsynced.Store(false)
		}
		return err
	})
}

// encode returns the changes that bring these records on the disk up to date.
func (s *Store) encode(ids []identity.NodeID) *kv.Batch {
	peers := make([]*Peer, len(ids))
	s.mu.RLock()
	for i, id := range ids {
		peers[i] = s.index.get(id)
	}
	s.mu.RUnlock()
	w := new(kv.Batch)
	var buf []byte
	for i, id := range ids {
		if peers[i] == nil {
			w.Delete(recordKey(id))
			continue
		}
		start := len(buf)
		buf = appendRecord(buf, peers[i])
		w.Set(recordKey(id), buf[start:len(buf):len(buf)])
	}
	return w
}

// differing returns the records whose present state is not on the disk. The caller
// holds commit.
func (s *Store) differing() (differ []identity.NodeID, _ error) {
	s.mu.RLock()
	all := s.index.all() // in the order of the keys
	s.mu.RUnlock()
	var buf []byte
	entries, scanErr := s.db.Scan([]byte{keyPrefix})
	for key, value := range entries {
		id, err := identity.NodeIDFromBytes(key[1:])
		if err != nil {
			continue // damaged before
		}
		for len(all) > 0 && all[0].ID.Compare(id) < 0 {
			differ, all = append(differ, all[0].ID), all[1:]
		}
		if len(all) > 0 && all[0].ID == id {
			if buf = appendRecord(buf[:0], all[0]); !bytes.Equal(buf, value) {
				differ = append(differ, id)
			}
			all = all[1:]
		} else if _, err := decodeRecord(value, id, newShared()); err == nil {
			differ = append(differ, id) // removed, and back
		}
	}
	if err := scanErr(); err != nil {
		return nil, err
	}
	for _, p := range all {
		differ = append(differ, p.ID)
	}
	return differ, nil
}
