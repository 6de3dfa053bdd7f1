package dht

import (
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// DedupCapacity is how many hashes are remembered unless said otherwise
// (spec: V29).
const DedupCapacity = 50_000

// Dedup remembers which messages were seen, how often, and whom the last copy
// came from. It holds a fixed number of hashes, allocated as it fills; beyond
// it the one that was not seen for longest is forgotten. What is to be kept
// beyond a restart is taken from it with [Dedup.Changes] and given back with
// [Dedup.Load]; whether that works does not matter to what it answers (spec:
// dht 4, V29). Each call is one atomic step and may come from any goroutine.
type Dedup struct {
	mu       sync.Mutex
	capacity int
	index    map[Hash]int32
	entries  []dedupEntry
	newest   int32 // by last hit; -1 when there is none
	oldest   int32
	changed  []int32           // dirty entries, each once
	gone     map[Hash]struct{} // forgotten since the last Changes
	lost     bool              // more than capacity of them
}

type dedupEntry struct {
	DedupRecord
	newer, older int32
	dirty        bool
}

// DedupRecord is one message that was seen.
type DedupRecord struct {
	Hash    Hash
	From    identity.NodeID // of the last copy
	Hits    uint32
	First   time.Time
	LastHit time.Time
}

// NewDedup returns an empty one for so many hashes, at least one.
func NewDedup(capacity int) *Dedup {
	return &Dedup{
		capacity: max(1, capacity), index: make(map[Hash]int32), gone: make(map[Hash]struct{}),
		newest: -1, oldest: -1,
	}
}

// Seen returns how often the message was counted, and changes nothing.
func (d *Dedup) Seen(h Hash) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.index[h]; ok {
		return d.entries[i].Hits
	}
	return 0
}

// Count counts one more copy and returns how many that makes.
func (d *Dedup) Count(h Hash, from identity.NodeID, now time.Time) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.index[h]
	if !ok {
		i = d.insert(DedupRecord{Hash: h, First: now})
	}
	e := &d.entries[i]
	e.From, e.LastHit = from, now
	e.Hits++
	d.touch(i)
	return e.Hits
}

// Own records a message of our own, so that its echo is a copy. It counts
// nothing when the message is there already.
func (d *Dedup) Own(h Hash, self identity.NodeID, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.index[h]; ok {
		return
	}
	d.touch(d.insert(DedupRecord{Hash: h, From: self, Hits: 1, First: now, LastHit: now}))
}

// Len returns how many hashes are remembered.
func (d *Dedup) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.index)
}

// DedupChanges is what has to be written for the records kept on disk to be
// those in memory: the hashes gone are deleted first, then the records put.
type DedupChanges struct {
	Gone []Hash
	Put  []DedupRecord
	// Incomplete says that more were forgotten than are remembered: whoever
	// did not ask for so long has records on disk that nobody names any more.
	// He deletes them all and puts those of [Dedup.All].
	Incomplete bool
}

// Changes returns what changed since it was last asked, of the records put at
// most so many; the rest comes the next time. What nobody asks for is bounded
// by the capacity.
func (d *Dedup) Changes(most int) (c DedupChanges) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.Incomplete, d.lost = d.lost, false
	for h := range d.gone {
		c.Gone = append(c.Gone, h)
	}
	clear(d.gone)
	n := min(most, len(d.changed))
	for _, i := range d.changed[:n] {
		e := &d.entries[i]
		e.dirty = false
		c.Put = append(c.Put, e.DedupRecord)
	}
	d.changed = append(d.changed[:0], d.changed[n:]...)
	return c
}

// All returns every record, the one that was not seen for longest first.
func (d *Dedup) All() []DedupRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]DedupRecord, 0, len(d.index))
	for i := d.oldest; i >= 0; i = d.entries[i].newer {
		all = append(all, d.entries[i].DedupRecord)
	}
	return all
}

// Load gives back what was kept, the one seen longest ago first. What does not
// fit is gone in the next [Dedup.Changes].
func (d *Dedup) Load(r DedupRecord) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.index[r.Hash]; ok {
		return
	}
	i := d.insert(r)
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
		i = d.oldest
		d.unlink(i)
		d.forget(d.entries[i].Hash)
		dirty = d.entries[i].dirty // the place is listed as changed already
	}
	d.entries[i] = dedupEntry{DedupRecord: r, newer: -1, older: -1, dirty: dirty}
	d.index[r.Hash] = i
	delete(d.gone, r.Hash)
	return i
}

func (d *Dedup) forget(h Hash) {
	delete(d.index, h)
	if len(d.gone) >= d.capacity {
		d.lost = true
		return
	}
	d.gone[h] = struct{}{}
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

func (d *Dedup) link(i int32) {
	e := &d.entries[i]
	e.newer, e.older = -1, d.newest
	if d.newest >= 0 {
		d.entries[d.newest].newer = i
	} else {
		d.oldest = i
	}
	d.newest = i
}

// unlink takes the entry out of the list; it may not be in it.
func (d *Dedup) unlink(i int32) {
	e := &d.entries[i]
	switch {
	case e.newer >= 0:
		d.entries[e.newer].older = e.older
	case d.newest == i:
		d.newest = e.older
	default:
		return
	}
	if e.older >= 0 {
		d.entries[e.older].newer = e.newer
	} else {
		d.oldest = e.newer
	}
	e.newer, e.older = -1, -1
}
