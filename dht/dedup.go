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

// DedupCapacity is how many hashes are remembered unless said otherwise
// (spec: V29).
const DedupCapacity = 50_000

// Dedup remembers which messages were seen, how often, and whom the last copy
// came from. It holds a fixed number of records, allocated as it fills. When it is
// full, of the peer whose messages have most of them, by whom each came from
// first, that goes which was not seen for longest: so nobody can push out what came
// from others. Of what went, a fingerprint stays for [Remembered] after it first
// came, if [Dedup.Remember] was called: it counts as seen as often as can be. Of
// these there are 16 MiB at most, not kept beyond a restart. What is to be kept
// beyond a restart is taken from it with [Dedup.Changes], when [Dedup.OnChange]
// says that there is something, and given back with [Dedup.Load]; whether that
// works does not matter to what it answers (spec: dht 4, V29). A node keeps it
// about a second later: what it has seen in the last second before it is killed,
// or loses its power, it may let through again. Each call is one atomic step and
// may come from any goroutine.
type Dedup struct {
	mu       sync.Mutex
	capacity int
	index    map[wire.Hash]int32
	entries  []dedupEntry
	hits     chain  // of all
	shares   shares // by the peer that each first came from
	prints   *fingerprints
	changed  []int32                // dirty entries, each once
	gone     map[wire.Hash]struct{} // kept, and forgotten since the last Changes
	whole    bool                   // what is kept is not known
	stamped  time.Time              // the greatest LastHit
	copies   uint64

	changedHook func()
	told        bool // the hook was called, and not all has been taken since
}

type dedupEntry struct {
	DedupRecord
	all, same links // in the chain of all, and in that of its share
	share     int32
	dirty     bool // differs from what is kept
	kept      bool // somebody has a record of the hash
}

// DedupRecord is one message that was seen.
type DedupRecord struct {
	Hash    wire.Hash
	From    identity.NodeID // of the last copy
	Hits    uint32
	First   time.Time // by the system's clock, or a little later: see LastHit
	LastHit time.Time // in the order of the hits, even if the system's clock was set back
}

// NewDedup returns an empty one for so many hashes, at least one.
func NewDedup(capacity int) *Dedup {
	return &Dedup{
		capacity: max(1, capacity), index: make(map[wire.Hash]int32), gone: make(map[wire.Hash]struct{}),
		hits: noChain, shares: newShares(), prints: new(fingerprints),
	}
}

// Remember has d remember fingerprints of what makes way, with a key from random,
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

// Seen returns how often the message was counted, and changes nothing. Of what
// only a fingerprint remembers that is math.MaxUint32.
func (d *Dedup) Seen(h wire.Hash) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.index[h]; ok {
		return d.entries[i].Hits
	}
	if d.prints.has(h, d.stamped.Unix()) {
		return math.MaxUint32
	}
	return 0
}

// Count counts one more copy and returns how many that makes; of what only a
// fingerprint remembers it makes math.MaxUint32, and no record. Wall is the
// system's clock.
func (d *Dedup) Count(h wire.Hash, from identity.NodeID, wall time.Time) uint32 {
	d.mu.Lock()
	defer d.unlock()
	at := d.stamp(wall)
	i, ok := d.index[h]
	switch {
	case ok:
		d.copies++
	case d.prints.has(h, at.Unix()):
		d.copies++
		return math.MaxUint32
	default:
		i = d.insert(DedupRecord{Hash: h, From: from, First: at})
	}
	e := &d.entries[i]
	e.From, e.LastHit = from, at
	if e.Hits < math.MaxUint32 {
		e.Hits++
	}
	d.touch(i)
	return e.Hits
}

// Own records a message of our own, so that its echo is a copy. It counts
// nothing when the message is there already. Wall is the system's clock.
func (d *Dedup) Own(h wire.Hash, self identity.NodeID, wall time.Time) {
	d.mu.Lock()
	defer d.unlock()
	at := d.stamp(wall)
	if _, ok := d.index[h]; ok || d.prints.has(h, at.Unix()) {
		return
	}
	d.touch(d.insert(DedupRecord{Hash: h, From: self, Hits: 1, First: at, LastHit: at}))
}

// stamp is the time of a hit: wall, or a nanosecond after the last hit if wall is
// not later than that, because the system's clock was set back. So the times of
// last hits have the order of the hits, and who reads them from the disk can
// tell which messages were seen last.
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

// DedupStats says how a Dedup is doing.
type DedupStats struct {
	Hashes   int    `json:"hashes"`
	Capacity int    `json:"capacity"`
	Copies   uint64 `json:"copies"`  // counted of messages that were there, since the start
	Pending  int    `json:"pending"` // see [Dedup.Pending]
	// Fingerprints is how many messages are remembered beside those with a record,
	// Early how many such were forgotten before [Remembered] was over, since the
	// start: for want of room.
	Fingerprints int    `json:"fingerprints"`
	Early        uint64 `json:"early"`
}

// Stats returns how it is doing.
func (d *Dedup) Stats() DedupStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DedupStats{
		Hashes: len(d.index), Capacity: d.capacity, Copies: d.copies, Pending: d.pending(),
		Fingerprints: d.prints.n, Early: d.prints.evicted,
	}
}

// Pending returns how many records the next Changes are about, if it is asked
// for all: 0 when there are none.
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

// OnChange has f called when there are changes where there were none: once,
// until all of them have been taken. It is called at once if there are some, and
// takes the place of the one before. f is called by whoever counts a message, so
// it must not block; it may call d.
func (d *Dedup) OnChange(f func()) {
	d.mu.Lock()
	defer d.unlock()
	d.changedHook, d.told = f, false
}

// unlock unlocks mu and tells of changes.
func (d *Dedup) unlock() {
	var tell func()
	if !d.told && d.changedHook != nil && d.pending() > 0 {
		d.told, tell = true, d.changedHook
	}
	d.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// DedupChanges is what has to be written for the records kept on disk to be
// those in memory: the hashes gone are deleted first, then the records put.
// A message that was forgotten before anybody took it is in neither.
type DedupChanges struct {
	Gone []wire.Hash
	Put  []DedupRecord
	// Whole says that Put is every record, the one that was not seen for longest
	// first, and that all other records kept are to be deleted.
	Whole bool
}

// Changes returns what changed since it was last asked, of the records put at
// most so many unless it is Whole; the rest comes the next time. What nobody
// asks for is bounded by the capacity. Who fails to keep what he took says so
// with [Dedup.Rewrite].
func (d *Dedup) Changes(most int) (c DedupChanges) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.whole {
		c = DedupChanges{Whole: true, Put: d.all()}
		for i := range d.entries {
			d.entries[i].dirty, d.entries[i].kept = false, true
		}
		d.whole, d.changed = false, d.changed[:0]
		clear(d.gone)
	} else {
		for h := range d.gone {
			c.Gone = append(c.Gone, h)
		}
		clear(d.gone)
		n := min(most, len(d.changed))
		c.Put = make([]DedupRecord, n)
		for at, i := range d.changed[:n] {
			e := &d.entries[i]
			e.dirty, e.kept = false, true
			c.Put[at] = e.DedupRecord
		}
		d.changed = append(d.changed[:0], d.changed[n:]...)
	}
	d.told = d.told && d.pending() > 0
	return c
}

// Rewrite makes the next Changes Whole: what is kept is not what was taken, or
// nobody knows.
func (d *Dedup) Rewrite() {
	d.mu.Lock()
	defer d.unlock()
	d.whole = true
}

// All returns every record, the one that was not seen for longest first.
func (d *Dedup) All() []DedupRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all()
}

func (d *Dedup) all() []DedupRecord {
	all := make([]DedupRecord, 0, len(d.index))
	for i := d.hits.oldest; i >= 0; i = d.entries[i].all.newer {
		all = append(all, d.entries[i].DedupRecord)
	}
	return all
}

// Load gives back what was kept, the one seen longest ago first. Its share is that
// of the peer that its last copy came from: only that is kept. What makes way is
// gone in the next [Dedup.Changes].
func (d *Dedup) Load(r DedupRecord) {
	d.mu.Lock()
	defer d.unlock()
	if _, ok := d.index[r.Hash]; ok {
		return
	}
	if r.LastHit.After(d.stamped) {
		d.stamped = r.LastHit
	}
	i := d.insert(r)
	d.entries[i].kept = true
	d.link(i)
}

// insert makes room for r and returns its place, which is not linked yet.
func (d *Dedup) insert(r DedupRecord) int32 {
	var i int32
	dirty := false
	if len(d.index) < d.capacity {
		i = int32(len(d.entries))
		d.entries = append(d.entries, dedupEntry{})
	} else {
		i = d.shares.list[d.shares.largest()].hits.oldest
		d.unlink(i)
		d.forget(&d.entries[i])
		d.shares.remove(d.entries[i].share)
		dirty = d.entries[i].dirty // the place is listed as changed already
	}
	_, kept := d.gone[r.Hash]
	delete(d.gone, r.Hash)
	d.entries[i] = dedupEntry{
		DedupRecord: r, all: links{-1, -1}, same: links{-1, -1}, share: d.shares.add(r.From), dirty: dirty, kept: kept,
	}
	d.index[r.Hash] = i
	return i
}

func (d *Dedup) forget(e *dedupEntry) {
	delete(d.index, e.Hash)
	d.prints.add(e.Hash, d.shares.list[e.share].id, e.First.Add(Remembered).Unix(), d.stamped.Unix())
	switch {
	case !e.kept || d.whole:
	case len(d.gone) >= d.capacity: // of more records than fit
		d.whole = true
	default:
		d.gone[e.Hash] = struct{}{}
	}
}

// touch makes the entry the newest, and lists it as changed.
func (d *Dedup) touch(i int32) {
	d.unlink(i)
	d.link(i)
	if e := &d.entries[i]; !e.dirty {
		e.dirty = true
		d.changed = append(d.changed, i)
	}
}

// link makes the entry the newest.
func (d *Dedup) link(i int32) {
	d.hits.link(i, d.inAll)
	d.shares.list[d.entries[i].share].hits.link(i, d.inShare)
}

// unlink takes the entry out of its chains; it may not be in them.
func (d *Dedup) unlink(i int32) {
	d.hits.unlink(i, d.inAll)
	d.shares.list[d.entries[i].share].hits.unlink(i, d.inShare)
}

func (d *Dedup) inAll(i int32) *links   { return &d.entries[i].all }
func (d *Dedup) inShare(i int32) *links { return &d.entries[i].same }
