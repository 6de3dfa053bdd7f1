package dht

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// DedupCapacity is the default capacity of a [Dedup] in messages (spec: V29).
const DedupCapacity = 50_000

// Dedup remembers which messages were seen, how often, and from which peer the last
// copy came. Each message is a record of the peer that sent its first copy. When Dedup
// is full, it evicts the least recently seen record of the peer with most records, so
// that no peer can evict the records of others (spec: dht 4, V29).
//
// After [Dedup.Remember], Dedup keeps a fingerprint of an evicted record until
// [Remembered] after the message's first copy, and counts the message as seen
// math.MaxUint32 times. Fingerprints take at most 16 MiB and are lost with a restart.
//
// A message for a handler is open until [Dedup.Release] says that the handler has finished
// it. A further copy from a relay is a duplicate, but a stored copy is delivered if no
// handler has the message any more; its fingerprint says so too. An open message has no
// record on disk.
//
// Records survive a restart if the caller writes the [Dedup.Changes] to disk whenever
// [Dedup.OnChange] reports some, and loads them with [Dedup.Load]. A node writes about a
// second late: messages of the last second before a crash may be let through again.
//
// All methods may be called from any goroutine.
type Dedup struct {
	mu       sync.Mutex
	capacity int
	index    map[wire.Hash]int32
	entries  []dedupEntry
	hits     chain  // of all
	shares   shares // by the peer that each first came from
	prints   *fingerprints
	changed  []int32                // dirty entries, each once
	free     []int32                // entries of forgotten messages
	gone     map[wire.Hash]struct{} // on disk, and evicted or forgotten since the last Changes
	whole    bool                   // the state of the disk is unknown
	stamped  time.Time              // the greatest LastHit
	copies   uint64
	held     map[wire.Hash]struct{} // in hand, without an entry; each holds credit

	changedHook func()
	notified    bool // changedHook was called, and not all changes were taken since
}

type dedupEntry struct {
	DedupRecord
	all, same links // in the chain of all, and in that of its share
	share     int32
	state     dedupState
	dirty     bool // differs from the record on disk
	kept      bool // there is a record on disk
}

// dedupState is what became of a message that is for a handler.
type dedupState uint8

const (
	closed  dedupState = iota // finished, or for no handler
	inHand                    // a handler has it
	dropped                   // no handler has finished it
)

// recorded reports whether the disk is to have a record of the entry.
func (e *dedupEntry) recorded() bool { return e.Hits > 0 && e.state == closed }

// DedupRecord is a message that was seen.
type DedupRecord struct {
	Hash    wire.Hash
	From    identity.NodeID // of the last copy
	Hits    uint32
	First   time.Time // by the system's clock, or a little later: see LastHit
	LastHit time.Time // in the order of the hits, even if the system's clock was set back
}

// NewDedup returns an empty Dedup with a capacity in messages, which is at least 1.
func NewDedup(capacity int) *Dedup {
	return &Dedup{
		capacity: max(1, capacity), index: make(map[wire.Hash]int32), gone: make(map[wire.Hash]struct{}),
		hits: noChain, shares: newShares(), prints: new(fingerprints),
	}
}

// Remember makes d keep fingerprints of evicted records. Their key is drawn from random,
// which must be unpredictable. Call it before the first message.
func (d *Dedup) Remember(random io.Reader) error {
	prints, err := newFingerprints(random, maxPrints)
	if err != nil {
		return fmt.Errorf("dht: key of fingerprints: %w: %w", identity.ErrRandom, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prints = prints
	return nil
}

// Seen returns how often the message was counted. For a message that only a
// fingerprint remembers it returns math.MaxUint32.
func (d *Dedup) Seen(h wire.Hash) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen(h)
}

func (d *Dedup) seen(h wire.Hash) uint32 {
	if i, ok := d.index[h]; ok {
		return d.entries[i].Hits
	}
	if _, ok := d.held[h]; ok {
		return 1
	}
	if d.prints.has(h, d.stamped.Unix()) {
		return math.MaxUint32
	}
	return 0
}

// Handled returns how often the message was counted, or 0 if it is open: then a stored copy
// of it is of use, at once or if its handler fails.
func (d *Dedup) Handled(h wire.Hash) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.index[h]; ok && d.entries[i].state != closed {
		return 0
	}
	if _, ok := d.held[h]; ok || d.prints.open(h, d.stamped.Unix()) {
		return 0
	}
	return d.seen(h)
}

// Hold takes a stored copy of the message in hand until [Dedup.Release]. It returns false,
// and does nothing, if the message was handled or is in hand already.
func (d *Dedup) Hold(h wire.Hash) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.index[h]; ok && d.entries[i].state == dropped {
		d.entries[i].state = inHand
		return true
	}
	if _, ok := d.held[h]; ok || d.seen(h) > 0 && !d.prints.open(h, d.stamped.Unix()) {
		return false
	}
	d.hold(h)
	return true
}

func (d *Dedup) hold(h wire.Hash) {
	if d.held == nil {
		d.held = make(map[wire.Hash]struct{})
	}
	d.held[h] = struct{}{}
}

// InHand reports whether a handler has the message, and may fail.
func (d *Dedup) InHand(h wire.Hash) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.index[h]; ok {
		return d.entries[i].state == inHand
	}
	_, ok := d.held[h]
	return ok
}

// Release ends what a handler had to do with an open message. If the message was handled,
// it is closed and recorded. Otherwise a stored copy of it is delivered. Release does
// nothing for a message that is not open. Wall is the system's clock.
func (d *Dedup) Release(h wire.Hash, from identity.NodeID, wall time.Time, handled bool) {
	d.mu.Lock()
	defer d.unlock()
	if _, ok := d.held[h]; ok {
		delete(d.held, h)
		if handled && !d.prints.close(h, d.stamped.Unix()) {
			d.count(h, from, wall, closed)
		}
		return
	}
	i, ok := d.index[h]
	if !ok || d.entries[i].state == closed {
		return
	}
	if !handled {
		d.entries[i].state = dropped
		return
	}
	d.entries[i].state = closed
	d.change(i)
}

// judged counts a stored copy of the message that is for no handler. If no handler has the
// message, further stored copies are of no use.
func (d *Dedup) judged(h wire.Hash, from identity.NodeID, wall time.Time) {
	d.mu.Lock()
	defer d.unlock()
	d.prints.close(h, d.stamp(wall).Unix())
	d.count(h, from, wall, closed)
	if i, ok := d.index[h]; ok && d.entries[i].state == dropped {
		d.entries[i].state = closed
		d.change(i)
	}
}

// Count counts one more copy of the message and returns the new count. For a message
// that only a fingerprint remembers it returns math.MaxUint32 and makes no record. Wall
// is the system's clock.
func (d *Dedup) Count(h wire.Hash, from identity.NodeID, wall time.Time) uint32 {
	d.mu.Lock()
	defer d.unlock()
	return d.count(h, from, wall, closed)
}

// countOpen is Count for a message for a handler: the first copy is in hand until
// [Dedup.Release].
func (d *Dedup) countOpen(h wire.Hash, from identity.NodeID, wall time.Time) uint32 {
	d.mu.Lock()
	defer d.unlock()
	return d.count(h, from, wall, inHand)
}

// count counts a copy of a message. A first copy has that state.
func (d *Dedup) count(h wire.Hash, from identity.NodeID, wall time.Time, first dedupState) uint32 {
	if _, ok := d.held[h]; ok {
		d.copies++
		return 2
	}
	at := d.stamp(wall)
	i, ok := d.index[h]
	switch {
	case ok:
		d.copies++
	case d.prints.has(h, at.Unix()):
		d.copies++
		return math.MaxUint32
	default:
		i = d.insert(DedupRecord{Hash: h, From: from, First: at}, first)
	}
	e := &d.entries[i]
	e.From, e.LastHit = from, at
	if e.Hits < math.MaxUint32 {
		e.Hits++
	}
	d.touch(i)
	return e.Hits
}

// Forget makes the message count as one that has never come, so that a later copy of it is let
// through. It does nothing if only a fingerprint remembers the message.
func (d *Dedup) Forget(h wire.Hash) {
	d.mu.Lock()
	defer d.unlock()
	delete(d.held, h)
	i, ok := d.index[h]
	if !ok {
		return
	}
	e := &d.entries[i]
	d.unlink(i)
	d.shares.remove(e.share)
	delete(d.index, h)
	d.lost(e)
	d.entries[i] = dedupEntry{all: links{-1, -1}, same: links{-1, -1}, dirty: e.dirty}
	d.free = append(d.free, i)
}

// Own records a message of our own, so that a copy that comes back is a duplicate. It
// does nothing if the message is recorded already. Wall is the system's clock.
func (d *Dedup) Own(h wire.Hash, self identity.NodeID, wall time.Time) {
	d.mu.Lock()
	defer d.unlock()
	at := d.stamp(wall)
	if _, ok := d.index[h]; ok || d.prints.has(h, at.Unix()) {
		return
	}
	d.touch(d.insert(DedupRecord{Hash: h, From: self, Hits: 1, First: at, LastHit: at}, closed))
}

// stamp returns the time of a hit: wall, or a nanosecond after the last hit if the
// system's clock was set back. So the times of hits have the order of the hits, also
// when they are read from disk.
func (d *Dedup) stamp(wall time.Time) time.Time {
	if !wall.After(d.stamped) {
		wall = d.stamped.Add(1)
	}
	d.stamped = wall
	return wall
}

// Len returns how many hashes are remembered.
func (d *Dedup) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.index)
}

// DedupStats describes a [Dedup].
type DedupStats struct {
	Hashes   int    `json:"hashes"`
	Capacity int    `json:"capacity"`
	Copies   uint64 `json:"copies"`  // second and later copies counted since the start
	Pending  int    `json:"pending"` // see [Dedup.Pending]
	// Fingerprints is how many evicted messages are remembered. Early is how many
	// were forgotten for lack of room before [Remembered] was over, since the start.
	Fingerprints int    `json:"fingerprints"`
	Early        uint64 `json:"early"`
}

// Stats returns d's numbers.
func (d *Dedup) Stats() DedupStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DedupStats{
		Hashes: len(d.index), Capacity: d.capacity, Copies: d.copies, Pending: d.pending(),
		Fingerprints: d.prints.n, Early: d.prints.evicted,
	}
}

// Pending returns how many records have changes that were not taken yet.
func (d *Dedup) Pending() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pending()
}

func (d *Dedup) pending() int {
	if d.whole {
		return max(1, len(d.index))
	}
	return len(d.changed) + len(d.gone)
}

// OnChange sets the function that is called when there are changes to take: now if
// there are some, then for the first change after all were taken. The caller of Count
// calls it, so it must not block; it may call d.
func (d *Dedup) OnChange(f func()) {
	d.mu.Lock()
	defer d.unlock()
	d.changedHook, d.notified = f, false
}

// unlock unlocks mu and calls changedHook if there are new changes.
func (d *Dedup) unlock() {
	var notify func()
	if !d.notified && d.changedHook != nil && d.pending() > 0 {
		d.notified, notify = true, d.changedHook
	}
	d.mu.Unlock()
	if notify != nil {
		notify()
	}
}

// DedupChanges is what brings the disk up to date: first delete the hashes in Gone, then
// write the records in Put. A record that was made and evicted since the last changes
// is in neither.
type DedupChanges struct {
	Gone []wire.Hash
	Put  []DedupRecord
	// Whole says that Put is every record, the least recently seen one first, and
	// that all other records on disk are to be deleted.
	Whole bool
}

// Changes returns the changes since the last call, with at most most records in Put
// unless they are Whole; the next call returns further records. A caller that fails to
// write the changes calls [Dedup.Rewrite]. Changes that are not taken need no more
// memory than the capacity.
func (d *Dedup) Changes(most int) (c DedupChanges) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.whole {
		c = DedupChanges{Whole: true, Put: d.all((*dedupEntry).recorded)}
		for i := range d.entries {
			e := &d.entries[i]
			e.dirty, e.kept = false, e.recorded()
		}
		d.whole, d.changed = false, d.changed[:0]
		clear(d.gone)
	} else {
		for h := range d.gone {
			c.Gone = append(c.Gone, h)
		}
		clear(d.gone)
		n := min(most, len(d.changed))
		c.Put = make([]DedupRecord, 0, n)
		for _, i := range d.changed[:n] {
			e := &d.entries[i]
			if e.dirty = false; e.recorded() { // neither forgotten nor another message, which is open
				e.kept = true
				c.Put = append(c.Put, e.DedupRecord)
			}
		}
		d.changed = append(d.changed[:0], d.changed[n:]...)
	}
	d.notified = d.notified && d.pending() > 0
	return c
}

// Rewrite makes the next Changes Whole. Call it when the records on disk may differ from
// the changes that were taken.
func (d *Dedup) Rewrite() {
	d.mu.Lock()
	defer d.unlock()
	d.whole = true
}

// All returns every record, the least recently seen one first.
func (d *Dedup) All() []DedupRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all(func(*dedupEntry) bool { return true })
}

func (d *Dedup) all(which func(*dedupEntry) bool) []DedupRecord {
	all := make([]DedupRecord, 0, len(d.index))
	for i := d.hits.oldest; i >= 0; i = d.entries[i].all.newer {
		if e := &d.entries[i]; which(e) {
			all = append(all, e.DedupRecord)
		}
	}
	return all
}

// Load adds a record from disk. Load the least recently seen record first. The record
// counts for the peer of its last copy, because the peer of the first copy is not on
// disk. A record that Load evicts is Gone in the next [Dedup.Changes].
func (d *Dedup) Load(r DedupRecord) {
	d.mu.Lock()
	defer d.unlock()
	if _, ok := d.index[r.Hash]; ok {
		return
	}
	if r.LastHit.After(d.stamped) {
		d.stamped = r.LastHit
	}
	i := d.insert(r, closed)
	d.entries[i].kept = true
	d.link(i)
}

// insert stores r, evicting a record if d is full, and returns its index. It does not
// link the record.
func (d *Dedup) insert(r DedupRecord, state dedupState) int32 {
	var i int32
	dirty := false
	if n := len(d.free); n > 0 {
		i, d.free = d.free[n-1], d.free[:n-1]
		dirty = d.entries[i].dirty // the index is in changed already
	} else if len(d.index) < d.capacity {
		i = int32(len(d.entries))
		d.entries = append(d.entries, dedupEntry{})
	} else {
		i = d.shares.list[d.shares.largest()].hits.oldest
		d.unlink(i)
		d.forget(&d.entries[i])
		d.shares.remove(d.entries[i].share)
		dirty = d.entries[i].dirty // the index is in changed already
	}
	kept := false
	if state == closed { // an open message leaves the disk
		_, kept = d.gone[r.Hash]
		delete(d.gone, r.Hash)
	}
	d.entries[i] = dedupEntry{
		DedupRecord: r, all: links{-1, -1}, same: links{-1, -1}, share: d.shares.add(r.From), state: state, dirty: dirty, kept: kept,
	}
	d.index[r.Hash] = i
	return i
}

func (d *Dedup) forget(e *dedupEntry) {
	delete(d.index, e.Hash)
	switch e.state {
	case closed, dropped:
		d.prints.add(e.Hash, d.shares.list[e.share].id, e.First.Add(Remembered).Unix(), d.stamped.Unix(), e.state == dropped)
	case inHand: // its credit bounds how many there are
		d.hold(e.Hash)
	}
	d.lost(e)
}

// lost notes that the record of an entry on disk, if there is one, is to be deleted.
func (d *Dedup) lost(e *dedupEntry) {
	switch {
	case !e.kept || d.whole:
	case len(d.gone) >= d.capacity: // more records on disk than the capacity
		d.whole = true
	default:
		d.gone[e.Hash] = struct{}{}
	}
}

// touch makes the entry the newest and marks it as changed.
func (d *Dedup) touch(i int32) {
	d.unlink(i)
	d.link(i)
	d.change(i)
}

// change marks an entry as changed. An open one is not for the disk.
func (d *Dedup) change(i int32) {
	if e := &d.entries[i]; !e.dirty && e.state == closed {
		e.dirty = true
		d.changed = append(d.changed, i)
	}
}

// link makes the entry the newest.
func (d *Dedup) link(i int32) {
	d.hits.link(i, d.inAll)
	d.shares.list[d.entries[i].share].hits.link(i, d.inShare)
}

// unlink removes the entry from its chains, if it is in them.
func (d *Dedup) unlink(i int32) {
	d.hits.unlink(i, d.inAll)
	d.shares.list[d.entries[i].share].hits.unlink(i, d.inShare)
}

func (d *Dedup) inAll(i int32) *links   { return &d.entries[i].all }
func (d *Dedup) inShare(i int32) *links { return &d.entries[i].same }
