package inboxpart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Schema is the version of the records that this package writes. A store without an inbox
// gets this version. A store with a newer version is refused and not changed.
//
//   - 1: the messages, and the number below which all numbers may be in use.
//   - 2: whether another node had stored a message.
//   - 3: when a message over the DHT expires.
const Schema = 3

// ErrNewer reports records of a newer release.
var ErrNewer = errors.New("inbox: written by a newer release; run that one, or start with another data directory")

// A key consists of the prefix and the kind of the entry. The key of a message ends with
// its number, big-endian.
const (
	keyPrefix  = 'i' // other parts of the node have different prefixes
	keyMeta    = 'm'
	keyMessage = 'r'
	keyLen     = 2 + 8
)

// metaLen is the length of the value of keyMeta: the schema, and the number below which
// all numbers may be in use.
const metaLen = 1 + 8

// numbersAhead is how many numbers a write reserves. A kill may lose messages, but their
// numbers are reserved and are not used again.
const numbersAhead = 1 << 16

// tailBytes bounds the bytes written since the last sync. They also stay in memory until
// the sync, because a disk that fails and heals may have lost them.
const tailBytes = 8 << 20

func messageKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyPrefix, keyMessage}, seq)
}

// store is the inbox on the disk. Its methods block, and may be called from any
// goroutine. It outlives the actor: a write goes on after its actor has ended.
type store struct {
	disk     kv.Client
	unsynced atomic.Bool

	turn     sync.Mutex // one write or load at a time
	reserved uint64     // no number from this one on is in use
	schema   int        // on the disk; 0: none
	anew     bool       // the store was reopened, and the tail was not written again

	reads    sync.Mutex // guards tail against readers; taken after turn
	tail     []change   // changes written since the last sync
	tailSize int
}

// change writes a message, or deletes it if its record is nil.
type change struct {
	seq    uint64
	record []byte
}

// openStore reads the schema and the reserved number, but no messages. It refuses a store
// with an unknown schema.
func openStore(db kv.Client) (*store, error) {
	s := &store{disk: db}
	value, err := db.Get([]byte{keyPrefix, keyMeta})
	if errors.Is(err, kv.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the inbox: %w", err)
	}
	s.schema, s.reserved, err = decodeMeta(value)
	return s, err
}

func appendMeta(reserved uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{Schema}, reserved)
}

func decodeMeta(value []byte) (schema int, reserved uint64, err error) {
	switch {
	case len(value) == 0 || value[0] == 0:
		return 0, 0, fmt.Errorf("open the inbox: %w: no schema version", kv.ErrCorrupt)
	case value[0] > Schema:
		return int(value[0]), 0, fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, value[0], Schema)
	case len(value) != metaLen:
		return 0, 0, fmt.Errorf("open the inbox: %w: its head has %d bytes", kv.ErrCorrupt, len(value))
	}
	return int(value[0]), binary.BigEndian.Uint64(value[1:]), nil
}

// loaded describes the messages on the disk.
type loaded struct {
	entries []onDisk // ascending by number
	next    uint64   // the next number to use
	damaged int      // records that cannot be read; they are left as they are
}

// onDisk describes one message on the disk.
type onDisk struct {
	seq  uint64
	at   int64
	size int
	over *Over // nil: it is a plain message
}

// load scans the messages on the disk.
func (s *store) load() (l loaded, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	l.next = max(1, s.reserved)
	entries, scanErr := s.disk.Scan([]byte{keyPrefix, keyMessage})
	for key, value := range entries {
		at, over, ok := recordHead(value)
		if len(key) != keyLen || !ok {
			l.damaged++
			continue
		}
		seq := binary.BigEndian.Uint64(key[2:])
		l.entries = append(l.entries, onDisk{seq, at, len(value), over})
		l.next = max(l.next, seq+1)
	}
	if err := scanErr(); err != nil {
		return loaded{}, fmt.Errorf("read the inbox: %w", err)
	}
	return l, nil
}

// read returns a message, or kv.ErrNotFound if it was deleted. When another client has
// reopened the store, the disk may have lost messages until the next write of the inbox;
// read returns such a message from memory.
func (s *store) read(seq uint64) (actors.KeptMessage, error) {
	value, err := s.disk.Get(messageKey(seq))
	if errors.Is(err, kv.ErrNotFound) {
		if value = s.unsafe(seq); value != nil {
			err = nil
		} else {
			value, err = s.disk.Get(messageKey(seq)) // a write may have written it again meanwhile
		}
	}
	if err != nil {
		return actors.KeptMessage{}, err
	}
	m, err := decodeRecord(value)
	m.Seq = seq
	return m, err
}

// messages yields the messages with the given ascending numbers, as read returns them. It
// reads many of them at a time, so that a small message costs a fraction of a look-up.
func (s *store) messages(seqs []uint64) iter.Seq2[actors.KeptMessage, error] {
	return func(yield func(actors.KeptMessage, error) bool) {
		var page []actors.KeptMessage
		for i, seq := range seqs {
			if len(page) == 0 {
				page = s.page(seqs[i:])
			}
			var m actors.KeptMessage
			var err error
			if len(page) > 0 && page[0].Seq == seq {
				m, page = page[0], page[1:]
			} else {
				m, err = s.read(seq)
				m.Seq = seq
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// pageBytes is how many bytes are read for one listener at a time. The last message may
// exceed it.
const pageBytes = 64 << 10

// page reads as many of the messages with the given numbers as fit a page, in order. It
// omits messages that are missing or cannot be read.
func (s *store) page(seqs []uint64) (found []actors.KeptMessage) {
	size := 0
	entries, _ := s.disk.ScanFrom([]byte{keyPrefix, keyMessage}, messageKey(seqs[0]))
	for key, value := range entries {
		if len(key) != keyLen {
			continue
		}
		seq := binary.BigEndian.Uint64(key[2:])
		for len(seqs) > 0 && seqs[0] < seq {
			seqs = seqs[1:]
		}
		if len(seqs) == 0 || size >= pageBytes {
			break
		}
		if seqs[0] != seq {
			continue
		}
		if m, err := decodeRecord(bytes.Clone(value)); err == nil {
			m.Seq = seq
			found, size = append(found, m), size+len(value)
		}
	}
	return found
}

// unsafe returns the record of a message that was written since the last sync, or nil.
func (s *store) unsafe(seq uint64) (record []byte) {
	s.reads.Lock()
	defer s.reads.Unlock()
	for _, c := range s.tail {
		if c.seq == seq {
			record = c.record
		}
	}
	return record
}

// write applies changes in order. With sync, these changes and all earlier ones survive a
// loss of power once write has returned nil. After an error the same changes may be
// written again. It blocks.
func (s *store) write(changes []change, sync bool) (err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	next := s.reserved
	for _, c := range changes {
		if c.record != nil && c.seq >= next {
			next, sync = c.seq+numbersAhead, true
		}
	}
	return s.apply(changes, next, sync)
}

// end applies the last changes and syncs them. The next start begins with the number next.
func (s *store) end(changes []change, next uint64) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.apply(changes, next, true)
}

func (s *store) apply(changes []change, next uint64, sync bool) error {
	size := 0
	for _, c := range changes {
		size += len(c.record) + keyLen
	}
	sync = sync || s.tailSize+size > tailBytes
	if len(changes) == 0 && next == s.reserved && !s.unsynced.Load() {
		return nil
	}
	head := next != s.reserved || s.schema != Schema // an older release refuses the store from its first new record on
	sync = sync || head
	s.unsynced.Store(true)
	err := kv.Reapplied(func(anew bool) error {
		if s.anew = s.anew || anew; s.anew { // the tail may be lost
			sync = true
			return s.disk.Apply(batch(s.tail, changes, next, true), true)
		}
		return s.disk.Apply(batch(nil, changes, next, head), sync)
	})
	if s.anew = s.anew || errors.Is(err, kv.ErrReopened); err != nil {
		return fmt.Errorf("write the inbox: %w", err)
	}
	s.reserved, s.schema, s.anew = next, Schema, false
	s.reads.Lock()
	defer s.reads.Unlock()
	if sync {
		s.tail, s.tailSize = nil, 0
		s.unsynced.Store(false)
	} else {
		s.tail = append(s.tail, changes...)
		s.tailSize += size
	}
	return nil
}

// batch returns the changes as a batch, with the schema and the reserved number if head is set.
func batch(tail, changes []change, next uint64, head bool) *kv.Batch {
	b := new(kv.Batch)
	for _, list := range [][]change{tail, changes} {
		for _, c := range list {
			if c.record == nil {
				b.Delete(messageKey(c.seq))
			} else {
				b.Set(messageKey(c.seq), c.record)
			}
		}
	}
	if head {
		b.Set([]byte{keyPrefix, keyMeta}, appendMeta(next))
	}
	return b
}
