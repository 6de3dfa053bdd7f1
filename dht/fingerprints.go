package dht

import (
	"encoding/binary"
	"io"
	"math/bits"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

const (
	// StoredLife is how long after its expiry a message may come as a stored one: nodes
	// take it before it expires, and keep it for three days.
	StoredLife = 72 * time.Hour
	// Remembered is how long after its first copy an evicted message is still recognised: as
	// long as a copy of a message that is valid for [DefaultExpires] may come, and an hour
	// more for clocks that differ (spec: dht 52).
	Remembered = DefaultExpires + StoredLife + time.Hour
)

const (
	// maxPrints is how many fingerprints fit into 16 MiB, with their index and queues.
	maxPrints = (16<<20 - 4*maxPrintCells - 14*printQueues) / 16
	// maxPrintCells is the size of the index when it has grown.
	maxPrintCells = 1 << 20
	// printQueues is how many queues the peers share; all messages of a peer are in
	// the same queue.
	printQueues = 4096
)

// fingerprints remembers evicted messages, each as 64 bits of a keyed hash: without the
// secret key nobody can make a message with the fingerprint of another one. It grows to
// 16 MiB; then it drops the oldest fingerprint of the longest queue. Each call takes a
// bounded number of steps, except when the index doubles.
type fingerprints struct {
	key   [5]uint64
	limit int
	cells []uint32 // index: see cellOf; 0 is free
	list  []fingerprint
	free  uint32 // first free place, plus one; linked by next
	n     int

	queues []printQueue // nil until there is one
	most   []uint16     // a tree: most[i] is the longest queue below branches 2i and 2i+1, most[1] of all
	sweep  uint32       // the queue to expire next

	evicted uint64 // fingerprints dropped before they expired
}

// fingerprint is 16 bytes.
type fingerprint struct {
	print uint64
	next  uint32 // place of the next in its queue or in the free list, plus one; 0: none
	until uint32 // Unix seconds; odd: no handler has finished the message
}

// openBit is set in the until of a message that no handler has finished.
const openBit = 1

// printQueue is a list of fingerprints, the oldest first.
type printQueue struct {
	first, last uint32 // places, plus one
	n           uint32
}

// newFingerprints returns an empty set of at most limit fingerprints, with a key drawn
// from random.
func newFingerprints(random io.Reader, limit int) (*fingerprints, error) {
	var key [40]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, err
	}
	f := &fingerprints{limit: limit}
	for i := range f.key {
		f.key[i] = binary.LittleEndian.Uint64(key[8*i:])
	}
	return f, nil
}

// of returns the fingerprint of a hash: a universal hash of its four words. Without
// knowledge of the key, two different hashes share a fingerprint with probability
// 2^-60.
func (f *fingerprints) of(h wire.Hash) uint64 {
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(h[8*i:]) }
	a1, a0 := bits.Mul64(word(0)^f.key[0], word(1)^f.key[1])
	b1, b0 := bits.Mul64(word(2)^f.key[2], word(3)^f.key[3])
	return bits.RotateLeft64(a1^a0, 29) + (b1 ^ b0) + f.key[4]
}

func (f *fingerprints) queueOf(id identity.NodeID) uint32 {
	x, _ := bits.Mul64(binary.LittleEndian.Uint64(id[:])^f.key[3], f.key[0]|1)
	return uint32(x>>32) % printQueues
}

// has reports whether the message is remembered at the Unix second now.
func (f *fingerprints) has(h wire.Hash, now int64) bool { return f.at(h, now) != nil }

// at returns the live fingerprint of a message, or nil.
func (f *fingerprints) at(h wire.Hash, now int64) *fingerprint {
	if f.n == 0 {
		return nil
	}
	at, ok := f.find(f.of(h))
	if !ok {
		return nil
	}
	x := &f.list[f.cells[at]&placeMask-1]
	if !live(x.until, now) {
		return nil
	}
	return x
}

// open reports whether the message is remembered as one that no handler has finished.
func (f *fingerprints) open(h wire.Hash, now int64) bool {
	x := f.at(h, now)
	return x != nil && x.until&openBit != 0
}

// close notes that a handler has finished the message. It reports whether the message is
// remembered.
func (f *fingerprints) close(h wire.Hash, now int64) bool {
	x := f.at(h, now)
	if x != nil {
		x.until &^= openBit
	}
	return x != nil
}

// live reports whether a fingerprint has not expired at now. It is false also if the
// clock was set back by more than Remembered.
func live(until uint32, now int64) bool {
	left := int64(until) - now
	return left > 0 && left <= int64(Remembered/time.Second)
}

// add remembers a message that first came from a peer, until a Unix second, or up to two seconds
// less. Open says that no handler has finished it. It drops expired fingerprints, and one more if it is full.
func (f *fingerprints) add(h wire.Hash, from identity.NodeID, until, now int64, open bool) {
	if until &^= openBit; open {
		until--
	}
	if f.limit == 0 || !live(uint32(until), now) {
		return
	}
	print := f.of(h)
	if at, ok := f.find(print); ok {
		x := &f.list[f.cells[at]&placeMask-1]
		x.until = max(x.until&^openBit, uint32(until)&^openBit) | x.until&uint32(until)&openBit
		return
	}
	if f.queues == nil {
		f.queues, f.most = make([]printQueue, printQueues), make([]uint16, printQueues)
		for i := uint32(printQueues - 1); i > 0; i-- {
			f.most[i] = uint16(f.heaviest(2 * i))
		}
	}
	q := f.queueOf(from)
	f.expire(q, now)
	f.expire(f.sweep, now)
	f.sweep = (f.sweep + 1) % printQueues
	if f.n >= f.limit {
		largest := uint32(f.most[1])
		if live(f.list[f.queues[largest].first-1].until, now) {
			f.evicted++
		}
		f.drop(largest)
	}
	if 4*(f.n+1) > 3*len(f.cells) {
		f.grow()
	}
	place := f.free
	if place > 0 {
		f.free = f.list[place-1].next
	} else {
		f.list = append(f.list, fingerprint{})
		place = uint32(len(f.list))
	}
	f.list[place-1] = fingerprint{print: print, until: uint32(until)}
	at, _ := f.find(print)
	f.cells[at] = cellOf(place, print)
	f.n++
	x := &f.queues[q]
	if x.last > 0 {
		f.list[x.last-1].next = place
	} else {
		x.first = place
	}
	x.last = place
	x.n++
	f.weigh(q)
}

// expire drops at most two expired fingerprints of the queue, which is more than are
// added between two calls.
func (f *fingerprints) expire(q uint32, now int64) {
	for range 2 {
		first := f.queues[q].first
		if first == 0 || live(f.list[first-1].until, now) {
			return
		}
		f.drop(q)
	}
}

// drop removes the oldest fingerprint of a queue.
func (f *fingerprints) drop(q uint32) {
	x := &f.queues[q]
	place := x.first
	p := &f.list[place-1]
	if x.first = p.next; x.first == 0 {
		x.last = 0
	}
	x.n--
	f.weigh(q)
	if at, ok := f.find(p.print); ok {
		f.clear(at)
	}
	p.next, f.free = f.free, place
	f.n--
}

// weigh updates the tree after a change of the queue.
func (f *fingerprints) weigh(q uint32) {
	for i := (q + printQueues) / 2; i > 0; i /= 2 {
		a, b := f.heaviest(2*i), f.heaviest(2*i+1)
		if f.queues[b].n > f.queues[a].n {
			a = b
		}
		f.most[i] = uint16(a)
	}
}

// heaviest returns the longest queue below a place of the tree.
func (f *fingerprints) heaviest(i uint32) uint32 {
	if i >= printQueues {
		return i - printQueues
	}
	return uint32(f.most[i])
}

// placeMask masks the bits of a cell that hold the place in list, plus one. The other
// bits hold a part of the fingerprint, so that most lookups need not read the list.
const placeMask = maxPrintCells - 1

// cellOf returns the cell of a place and a fingerprint.
func cellOf(place uint32, print uint64) uint32 { return place | uint32(print>>32)&^placeMask }

// find returns the index of the fingerprint's cell, or of the free cell for it.
func (f *fingerprints) find(print uint64) (at uint32, ok bool) {
	if len(f.cells) == 0 {
		return 0, false
	}
	mask, tag := uint32(len(f.cells)-1), cellOf(0, print)
	for at = uint32(print) & mask; f.cells[at] > 0; at = (at + 1) & mask {
		if c := f.cells[at]; c&^placeMask == tag && f.list[c&placeMask-1].print == print {
			return at, true
		}
	}
	return at, false
}

// clear empties a cell and moves the cells behind it that belong before it.
func (f *fingerprints) clear(at uint32) {
	mask := uint32(len(f.cells) - 1)
	for next := (at + 1) & mask; f.cells[next] > 0; next = (next + 1) & mask {
		home := uint32(f.list[f.cells[next]&placeMask-1].print) & mask
		if (next-home)&mask >= (next-at)&mask {
			f.cells[at] = f.cells[next]
			at = next
		}
	}
	f.cells[at] = 0
}

// grow doubles the index.
func (f *fingerprints) grow() {
	old := f.cells
	f.cells = make([]uint32, max(1024, 2*len(old)))
	for _, cell := range old {
		if cell > 0 {
			at, _ := f.find(f.list[cell&placeMask-1].print)
			f.cells[at] = cell
		}
	}
	if room := len(f.cells) * 3 / 4; cap(f.list) < room { // append alone would take more than is needed
		f.list = append(make([]fingerprint, 0, min(room, f.limit)), f.list...)
	}
}
