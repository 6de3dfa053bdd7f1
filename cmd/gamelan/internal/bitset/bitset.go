// Package bitset holds a set of small numbers.
package bitset

// Set is a set of numbers. Its zero value is empty.
type Set []uint64

// Add puts n into the set.
func (b *Set) Add(n uint64) {
	for uint64(len(*b)) <= n/64 {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

// Has reports whether n is in the set.
func (b Set) Has(n uint64) bool { return n/64 < uint64(len(b)) && b[n/64]>>(n%64)&1 == 1 }
