package inboxpart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
)

// Schema is the version of the records that this package writes. A store without an inbox
// gets this version. A store with a newer version is refused and not changed.
//
//   - 1: the messages, and the number below which all numbers may be in use.
//   - 2: whether another node had stored a message.
//   - 3: when a message over the DHT expires.
//   - 4: the ids of messages, what is known of their senders, how often messages were handed out, and which of those that are kept
//     for copiers were acknowledged.
const Schema = 4

// ErrNewer reports records of a newer release.
var ErrNewer = errors.New("inbox: written by a newer release; run that one, or start with another data directory")

// A key consists of the prefix and the kind of the entry. The key of a message ends with
// its number, big-endian.
const (
	keyPrefix  = 'i' // other parts of the node have different prefixes
	keyMeta    = 'm'
	keyMessage = 'r'
	keyTries   = 't' // how often a message was handed out
	keyAcked   = 'a' // the message was acknowledged, and is kept for copiers alone
	keyHanded  = 'h' // the number up to which messages were handed out once, if nothing else is said
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
	marks    kv.Client // writes how often messages were handed out; nil: nobody does
	unsynced atomic.Bool

	turn     sync.Mutex // one write or load at a time
	reserved uint64     // no number from this one on is in use
	schema   int        // on the disk; 0: none
	anew     bool       // the store was reopened, and the tail was not written again

	senders []outcomes.Remembered // what was on the disk at the start, until Inbox.Senders

	reads    sync.Mutex // guards tail against readers; taken after turn
	tail     []change   // changes written since the last sync
	tailSize int
}

// change writes a message, or deletes it if its record is nil. With a key it writes or deletes that
// entry.
type change struct {
	seq    uint64
	record []byte
	key    []byte
}

func (c *change) place() []byte {
	if c.key != nil {
		return c.key
	}
	return messageKey(c.seq)
}

// openStore reads the schema and the reserved number, but no messages. It refuses a store
// with an unknown schema.
func openStore(db, marks kv.Client) (*store, error) {
	s := &store{disk: db, marks: marks}
	value, err := db.Get([]byte{keyPrefix, keyMeta})
	if errors.Is(err, kv.ErrNotFound) {
		return s, s.openSenders()
	}
	if err != nil {
		return nil, fmt.Errorf("open the inbox: %w", err)
	}
	if s.schema, s.reserved, err = decodeMeta(value); err != nil {
		return s, err
	}
	return s, s.openSenders()
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
	handed  uint64   // see queue
	tries   map[uint64]Tries
	acked   map[uint64]bool
}

// onDisk describes one message on the disk.
type onDisk struct {
	seq uint64
	Entry
	id mark
}

// load scans the messages on the disk.
func (s *store) load() (l loaded, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	l.next = max(1, s.reserved)
	entries, scanErr := s.disk.Scan([]byte{keyPrefix, keyMessage})
	for key, value := range entries {
		e, id, ok := recordHead(value)
		if len(key) != keyLen || !ok {
			l.damaged++
			continue
		}
		seq := binary.BigEndian.Uint64(key[2:])
		l.entries = append(l.entries, onDisk{seq, e, id})
		l.next = max(l.next, seq+1)
	}
	if err := scanErr(); err != nil {
		return loaded{}, fmt.Errorf("read the inbox: %w", err)
	}
	if err := errors.Join(s.loadTries(&l), s.loadAcked(&l)); err != nil {
		return loaded{}, fmt.Errorf("read the inbox: %w", err)
	}
	return l, nil
}

func ackedKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyPrefix, keyAcked}, seq)
}

// loadAcked reads which messages were acknowledged.
func (s *store) loadAcked(l *loaded) error {
	l.acked = make(map[uint64]bool)
	entries, scanErr := s.disk.Scan([]byte{keyPrefix, keyAcked})
	for key := range entries {
		if len(key) == keyLen {
			l.acked[binary.BigEndian.Uint64(key[2:])] = true
		}
	}
	return scanErr()
}

func triesKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyPrefix, keyTries}, seq)
}

// loadTries reads how often messages were handed out.
func (s *store) loadTries(l *loaded) error {
	l.tries = make(map[uint64]Tries)
	switch value, err := s.disk.Get([]byte{keyPrefix, keyHanded}); {
	case err == nil && len(value) == 8:
		l.handed = binary.BigEndian.Uint64(value)
	case err != nil && !errors.Is(err, kv.ErrNotFound):
		return err
	}
	entries, scanErr := s.disk.Scan([]byte{keyPrefix, keyTries})
	for key, value := range entries {
		if len(key) == keyLen && len(value) > 0 {
			l.tries[binary.BigEndian.Uint64(key[2:])] = Tries{int(value[0]), len(value) > 1}
		}
	}
	return scanErr()
}

// mark writes how often messages were handed out, and syncs that: what is not synced may be in this process alone. An error is
// that of the disk, of which the next write tells.
func (s *store) mark(changes []change, handed uint64) {
	b := new(kv.Batch)
	for _, c := range changes {
		b.Set(c.key, c.record)
	}
	if handed > 0 {
		c := handedChange(handed)
		b.Set(c.key, c.record)
	}
	_ = s.marks.Apply(b, true)
}

// handedChange says that messages up to a number were handed out.
func handedChange(seq uint64) change {
	return change{key: []byte{keyPrefix, keyHanded}, record: binary.BigEndian.AppendUint64(nil, seq)}
}

// read returns a message, or kv.ErrNotFound if it was deleted. When another client has
// reopened the store, the disk may have lost messages until the next write of the inbox;
// read returns such a message from memory.
func (s *store) read(seq uint64) (KeptMessage, error) {
	value, err := s.disk.Get(messageKey(seq))
	if errors.Is(err, kv.ErrNotFound) {
		if value = s.unsafe(seq); value != nil {
			err = nil
		} else {
			value, err = s.disk.Get(messageKey(seq)) // a write may have written it again meanwhile
		}
	}
	if err != nil {
		return KeptMessage{}, err
	}
	m, err := decodeRecord(value)
	m.Seq = seq
	return m, err
}

// messages yields the messages with the given ascending numbers, as read returns them. It
// reads many of them at a time, so that a small message costs a fraction of a look-up.
func (s *store) messages(seqs []uint64) iter.Seq2[KeptMessage, error] {
	return func(yield func(KeptMessage, error) bool) {
		var page []KeptMessage
		for i, seq := range seqs {
			if len(page) == 0 {
				page = s.page(seqs[i:])
			}
			var m KeptMessage
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
func (s *store) page(seqs []uint64) (found []KeptMessage) {
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
		if c.key == nil && c.seq == seq {
			record = c.record
		}
	}
	return record
}

// write applies changes in order. With sync, these changes and all earlier ones survive a
// loss of power once write has returned nil. It may sync by itself, and returns whether it has. After an error the same changes may be
// written again. It blocks.
func (s *store) write(changes []change, sync bool) (synced bool, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	next := s.reserved
	for _, c := range changes {
		if c.key == nil && c.record != nil && c.seq >= next {
			next, sync = c.seq+numbersAhead, true
		}
	}
	return s.apply(changes, next, sync)
}

// end applies the last changes and syncs them. The next start begins with the number next.
func (s *store) end(changes []change, next uint64) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	_, err := s.apply(changes, next, true)
	return err
}

func (s *store) apply(changes []change, next uint64, sync bool) (synced bool, err error) {
	size := 0
	for _, c := range changes {
		size += len(c.record) + len(c.key) + keyLen
	}
	sync = sync || s.tailSize+size > tailBytes
	if len(changes) == 0 && next == s.reserved && !s.unsynced.Load() {
		return true, nil
	}
	head := next != s.reserved || s.schema != Schema // an older release refuses the store from its first new record on
	sync = sync || head
	s.unsynced.Store(true)
	err = kv.Reapplied(func(anew bool) error {
		if s.anew = s.anew || anew; s.anew { // the tail may be lost
			sync = true
			return s.disk.Apply(s.batch(s.tail, changes, next, true), true)
		}
		return s.disk.Apply(s.batch(nil, changes, next, head), sync)
	})
	if s.anew = s.anew || errors.Is(err, kv.ErrReopened); err != nil {
		return false, fmt.Errorf("write the inbox: %w", err)
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
	return sync, nil
}

// batch returns the changes as a batch, with the schema and the reserved number if head is set.
func (s *store) batch(tail, changes []change, next uint64, head bool) *kv.Batch {
	b := new(kv.Batch)
	for _, list := range [][]change{tail, changes} {
		for _, c := range list {
			if c.record == nil {
				b.Delete(c.place())
			} else {
				b.Set(c.place(), c.record)
			}
		}
	}
	if head {
		b.Set([]byte{keyPrefix, keyMeta}, appendMeta(next))
	}
	return b
}
