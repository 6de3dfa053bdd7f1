package seednode

import (
	"bytes"
	"math/bits"
	"slices"
	"time"
)

// idLen is the length of ids in a network with SHA-1.
const idLen = 20

// xor returns the distance of two ids. It panics for ids of another length, which is how one
// datagram stops the program.
func xor(a, b []byte) []byte {
	if len(a) != idLen || len(b) != idLen {
		panic("seednode: id of another length")
	}
	d := make([]byte, idLen)
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
	return d
}

func bucketOf(a, b []byte) int {
	for i, v := range xor(a, b) {
		if v != 0 {
			return 8*i + bits.LeadingZeros8(v)
		}
	}
	return 8 * idLen
}

// known is a peer in the table.
type known struct {
	Peer
	seen time.Time
}

// table has a bucket for each number of common bits, the oldest peer of each first.
type table struct {
	self    []byte
	size    int // of a bucket
	buckets [8*idLen + 1][]known
}

func (t *table) count() (n int) {
	for _, b := range t.buckets {
		n += len(b)
	}
	return n
}

// learn takes note of a peer. If its bucket is full, it returns the oldest peer of the bucket
// when that was not seen for patience.
func (t *table) learn(p Peer, now time.Time, patience time.Duration) (oldest Peer, ask bool) {
	if bytes.Equal(p.ID, t.self) {
		return Peer{}, false
	}
	b := &t.buckets[bucketOf(t.self, p.ID)]
	at := slices.IndexFunc(*b, func(k known) bool { return bytes.Equal(k.ID, p.ID) })
	switch {
	case at >= 0:
		k := (*b)[at]
		k.seen = now // and keeps its address
		*b = append(slices.Delete(*b, at, at+1), k)
	case len(*b) < t.size:
		*b = append(*b, known{p, now})
	case now.Sub((*b)[0].seen) > patience:
		return (*b)[0].Peer, true
	}
	return Peer{}, false
}

// evict puts a newcomer in the place of a peer that did not answer.
func (t *table) evict(old, newcomer Peer, now time.Time) {
	b := &t.buckets[bucketOf(t.self, old.ID)]
	at := slices.IndexFunc(*b, func(k known) bool { return bytes.Equal(k.ID, old.ID) })
	if at >= 0 {
		*b = append(slices.Delete(*b, at, at+1), known{newcomer, now})
	}
}

// nearest returns up to n peers. It walks outwards from the target's bucket and stops when it
// has more than n, so that it can miss peers that are nearer.
func (t *table) nearest(target []byte, n int) []Peer {
	at := bucketOf(t.self, target)
	var found []Peer
	take := func(i int) {
		if i >= 0 && i < len(t.buckets) {
			for _, k := range t.buckets[i] {
				found = append(found, k.Peer)
			}
		}
	}
	take(at)
	for d := 1; d < len(t.buckets); d++ {
		take(at + d)
		if len(found) > n {
			break
		}
		take(at - d)
	}
	sortPeers(target, found)
	return found[:min(n, len(found))]
}

func sortPeers(target []byte, list []Peer) {
	slices.SortStableFunc(list, func(a, b Peer) int { return bytes.Compare(xor(target, a.ID), xor(target, b.ID)) })
}
