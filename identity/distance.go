package identity

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
)

// Distance is how far apart two ids are: their exclusive or, read as an
// unsigned big-endian number of 128 bits (spec: comms 1.3). The zero value is
// the distance of an id to itself.
type Distance struct {
	hi, lo uint64
}

// MaxDistance is 2^128 − 1: farther than any two ids can be.
var MaxDistance = Distance{math.MaxUint64, math.MaxUint64}

// Distance returns the distance between n and other.
func (n NodeID) Distance(other NodeID) Distance {
	var b [16]byte
	for i := range n {
		b[16-NodeIDLen+i] = n[i] ^ other[i]
	}
	return Distance{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Cmp compares the distances as numbers: -1, 0 or +1. Smaller is closer.
func (d Distance) Cmp(other Distance) int {
	if c := cmp.Compare(d.hi, other.hi); c != 0 {
		return c
	}
	return cmp.Compare(d.lo, other.lo)
}

// Bucket returns the i with 2^i ≤ d < 2^(i+1), from 0 to 127; 0 for the
// distance 0.
func (d Distance) Bucket() int {
	if d.hi != 0 {
		return 127 - bits.LeadingZeros64(d.hi)
	}
	return max(0, 63-bits.LeadingZeros64(d.lo))
}

// Bytes returns the number as 16 big-endian bytes.
func (d Distance) Bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], d.hi)
	binary.BigEndian.PutUint64(b[8:], d.lo)
	return b
}

// String returns 32 lower-case hexadecimal digits.
func (d Distance) String() string {
	b := d.Bytes()
	return hex.EncodeToString(b[:])
}
