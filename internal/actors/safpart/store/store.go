package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// ErrSuperseded reports a write of an actor that has ended: the messages were loaded
// again by the next one.
var ErrSuperseded = errors.New("saf/store: the messages were loaded again before this write")

// MinFree is how many bytes of the file system are left to the rest of the node: its other
// stores must grow, and open again after a restart.
const MinFree = 128 << 20

// ErrLowSpace reports that messages are not added, because less than [MinFree] is free.
var ErrLowSpace = fmt.Errorf("the disk has less than %d MiB free, which are kept for the node itself; free some space", MinFree>>20)

// DeleteMost is how many messages one write should delete, so that messages which arrive
// meanwhile do not wait much longer than for a write of their own.
const DeleteMost = 64

// tailMost bounds the deletions and confirmations that are not synced. They stay in memory
// until the sync, because a disk that fails and heals may have lost them.
const tailMost = 1 << 14

// owedMost bounds those that a failed disk has not taken. Further ones are forgotten: their
// messages are found again at the next start.
const owedMost = 1 << 18

// Store is the stored messages on the disk. Its methods block, and may be called from any
// goroutine. It outlives the actor that uses it: a write goes on after its actor has
// ended.
type Store struct {
	disk kv.Client

	turn          sync.Mutex // one write or load at a time
	schemaWritten bool       // this schema is on the disk
	anew          bool       // the store was reopened, and owed was not written again
	next          uint64     // above all numbers that were written or read
	round         uint64     // how often it was loaded

	// owed has the deletions and confirmations that may not be on the disk: the last
	// synced write is before them.
	owed      []change
	confirmed map[uint64]struct{} // messages that have such an entry
	unsynced  bool
	forgotten uint64
}

// change deletes a message, or if sent is not 0 sets how often it was confirmed.
type change struct {
	seq       uint64
	sent      uint8
	confirmed bool // a message to delete has an entry that says how often
}

// Open reads the schema, but no messages. It refuses a store with an unknown schema: the
// error is [ErrNewer] or [kv.ErrCorrupt].
func Open(disk kv.Client) (*Store, error) {
	s := &Store{disk: disk, next: 1, confirmed: make(map[uint64]struct{})}
	value, err := disk.Get(metaKey)
	if errors.Is(err, kv.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the stored messages: %w", err)
	}
	schema, err := checkMeta(value)
	if err != nil {
		return nil, err
	}
	s.schemaWritten = schema == Schema // otherwise the first write says what it writes
	return s, nil
}

// Message is a message to store.
type Message struct {
	saf.Record
	Envelope []byte // encoded; do not change it until Write has returned
}

// Confirmation says how often a message was confirmed, at least once.
type Confirmation struct {
	Seq  uint64
	Sent uint8
}

// Batch is what one write changes. A message in Delete is deleted, also if it is in Add or
// Confirm. Confirm only what is stored.
type Batch struct {
	Round   uint64 // of the [Loaded] that the changes belong to
	Add     []Message
	Confirm []Confirmation
	Delete  []uint64
	Visits  []saf.Visit       // by the system's clock; those of a write that fails are lost
	Left    []identity.NodeID // whose visits are deleted
	Probe   bool              // fail with ErrLowSpace as if the batch added messages
}

// Write makes all changes of b or none. If b adds messages, or with sync, they and all
// earlier changes are on the disk when Write has returned nil: added messages survive a
// loss of power.
//
// A batch of an earlier round is refused with [ErrSuperseded], without any effect. With
// [ErrLowSpace] all changes but Add are made. After any other error no message of b is stored: take them out of the index. Deletions and
// confirmations need not be repeated; the next write makes up for them. A message that makes way for
// one of Add is therefore deleted by a later batch, after Write has returned nil.
func (s *Store) Write(b *Batch, sync bool) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if b.Round != s.round {
		return ErrSuperseded
	}
	var changes []change
	for _, c := range b.Confirm {
		s.confirmed[c.Seq] = struct{}{}
		changes = append(changes, change{seq: c.Seq, sent: c.Sent})
	}
	for _, seq := range b.Delete {
		changes = append(changes, s.deletion(seq))
	}
	for i := range b.Add {
		s.next = max(s.next, b.Add[i].Seq+1)
	}
	add, low := b.Add, error(nil)
	if (len(add) > 0 || b.Probe) && s.lowSpace() {
		add, low = nil, ErrLowSpace
	}
	sync = sync || len(add) > 0 || len(s.owed)+len(changes) > tailMost
	err := s.apply(add, changes, b, sync)
	if err == nil && sync {
		return low
	}
	if err != nil {
		for i := range add { // they may be on the disk all the same
			changes = append(changes, s.deletion(b.Add[i].Seq))
		}
	}
	room := max(0, owedMost-len(s.owed))
	s.forgotten += uint64(max(0, len(changes)-room))
	s.owed = append(s.owed, changes[:min(len(changes), room)]...)
	return cmp.Or(err, low)
}

// lowSpace reports whether messages are not added for want of space. Where the file system
// does not say how much is free, they are.
func (s *Store) lowSpace() bool {
	disk, ok := s.disk.(kv.Space)
	if !ok {
		return false
	}
	free, err := disk.Free()
	return err == nil && free < MinFree
}

// deletion returns the change that deletes a message. Most were never confirmed, and to look
// for an entry that is not there costs more than to delete one that is.
func (s *Store) deletion(seq uint64) change {
	_, ok := s.confirmed[seq]
	delete(s.confirmed, seq)
	return change{seq: seq, confirmed: ok}
}

// apply writes messages, and what is owed if that may be lost.
func (s *Store) apply(add []Message, changes []change, visits *Batch, sync bool) (err error) {
	if len(add)+len(changes)+len(visits.Visits)+len(visits.Left) == 0 && !s.anew && !(sync && s.unsynced) {
		return nil
	}
	s.unsynced = true
	err = kv.Reapplied(func(bool) (err error) {
		if s.anew {
			sync = true
			err = s.writeOwed()
		}
		if !s.anew || err == nil {
			batch := s.batch(add, changes)
			for i := range visits.Visits {
				v := &visits.Visits[i]
				batch.Set(visitKey(v.Peer), appendVisit(nil, v))
			}
			for _, peer := range visits.Left {
				batch.Delete(visitKey(peer))
			}
			err = s.disk.Apply(batch, sync)
		}
		if err != nil {
			s.anew, s.schemaWritten = true, false
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("write the stored messages: %w", err)
	}
	s.schemaWritten, s.anew = true, false
	if sync {
		s.owed, s.unsynced = nil, false
	}
	return nil
}

// writeOwed writes what is owed, in parts, so that a disk that fails costs one part.
func (s *Store) writeOwed() error {
	for part := range slices.Chunk(s.owed, deleteMost) {
		if err := s.disk.Apply(s.batch(nil, part), false); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) batch(add []Message, changes []change) *kv.Batch {
	batch := new(kv.Batch)
	if !s.schemaWritten {
		batch.Set(metaKey, []byte{Schema})
	}
	for i := range add {
		m := &add[i]
		batch.Set(messageKey(keyHead, m.Seq), appendHead(make([]byte, 0, headLen), &m.Record))
		batch.Set(messageKey(keyEnvelope, m.Seq), m.Envelope)
	}
	put(batch, changes)
	return batch
}

func put(batch *kv.Batch, changes []change) {
	for _, c := range changes {
		if c.sent > 0 {
			batch.Set(messageKey(keyConfirmed, c.seq), []byte{c.sent})
			continue
		}
		batch.Delete(messageKey(keyHead, c.seq))
		batch.Delete(messageKey(keyEnvelope, c.seq))
		if c.confirmed {
			batch.Delete(messageKey(keyConfirmed, c.seq))
		}
	}
}

// Envelopes returns the envelopes of messages, in the order of their numbers in seqs. It
// returns nil for a message that is not stored.
func (s *Store) Envelopes(seqs []uint64) ([][]byte, error) {
	list := make([][]byte, len(seqs))
	for i, seq := range seqs {
		b, err := s.disk.Get(messageKey(keyEnvelope, seq))
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return nil, fmt.Errorf("read the stored messages: %w", err)
		}
		list[i] = b
	}
	return list, nil
}

// Stats describes a [Store].
type Stats struct {
	Owed      int    // deletions and confirmations that a loss of power would undo
	Forgotten uint64 // of them, not kept in memory because the disk has failed for long
}

// Stats returns the numbers. It waits for a write that is under way.
func (s *Store) Stats() Stats {
	s.turn.Lock()
	defer s.turn.Unlock()
	return Stats{Owed: len(s.owed), Forgotten: s.forgotten}
}
