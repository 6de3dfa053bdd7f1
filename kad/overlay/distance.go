package overlay

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Rand is a source of random bits, such as a [math/rand/v2.Rand]. Ids of nodes in the
// overlay Seed and ids of requests need a source that nobody can predict.
type Rand interface{ Uint64() uint64 }

// Distance is how far apart two ids are: their exclusive or, read as a number whose
// first byte counts most (spec: kad A5, B3).
type Distance [IDLen]byte

// Distance returns the distance between id and other.
func (id ID) Distance(other ID) (d Distance) {
	for i := 0; i < IDLen; i += 8 {
		x := binary.BigEndian.Uint64(id[i:]) ^ binary.BigEndian.Uint64(other[i:])
		binary.BigEndian.PutUint64(d[i:], x)
	}
	return d
}

// Compare compares the distances as numbers: -1, 0 or +1. Smaller is nearer.
func (d Distance) Compare(other Distance) int { return ID(d).Compare(ID(other)) }

// String returns 64 lower-case hexadecimal digits.
func (d Distance) String() string { return ID(d).String() }

// CommonPrefix returns how many leading bits id and other have in common: from 0 to 256,
// and 256 for equal ids. It is the number of the bucket that each of them has in the
// routing table of the other. Where ids have n bytes, different ids have fewer than 8n
// bits in common.
func (id ID) CommonPrefix(other ID) int {
	for i := 0; i < IDLen; i += 8 {
		if x := binary.BigEndian.Uint64(id[i:]) ^ binary.BigEndian.Uint64(other[i:]); x != 0 {
			return 8*i + bits.LeadingZeros64(x)
		}
	}
	return 8 * IDLen
}

// CompareDistance compares the distances of a and b to id: -1 if a is nearer, +1 if b
// is, 0 if they are the same id.
func (id ID) CompareDistance(a, b ID) int {
	for i := 0; i < IDLen; i += 8 {
		t := binary.BigEndian.Uint64(id[i:])
		x, y := t^binary.BigEndian.Uint64(a[i:]), t^binary.BigEndian.Uint64(b[i:])
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
	}
	return 0
}

// SortByDistance sorts contacts, the one nearest to target first. Contacts of the same
// id keep their order.
func SortByDistance(target ID, contacts []Contact) {
	slices.SortStableFunc(contacts, func(a, b Contact) int { return target.CompareDistance(a.ID, b.ID) })
}

// RandomID returns a random id of n bytes.
func RandomID(n int, r Rand) (id ID) {
	n = length(n)
	for i := 0; i < n; i += 8 {
		binary.BigEndian.PutUint64(id[i:], r.Uint64())
	}
	clear(id[n:])
	return id
}

// RandomIDInBucket returns a random id of n bytes that has exactly the first prefix bits
// in common with id: one in the range of that bucket of id's routing table. If prefix is
// not in 0 … 8n−1, there is no such id, and RandomIDInBucket returns id.
func (id ID) RandomIDInBucket(prefix, n int, r Rand) ID {
	if n = length(n); prefix < 0 || prefix >= 8*n {
		return id
	}
	random := RandomID(n, r)
	at, bit := prefix/8, byte(0x80)>>(prefix%8)
	copy(random[:at], id[:at])
	before := ^(bit<<1 - 1) // the bits of this byte that are in common
	random[at] = id[at]&before | ^id[at]&bit | random[at]&(bit-1)
	return random
}
