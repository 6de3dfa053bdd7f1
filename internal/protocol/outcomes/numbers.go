package outcomes

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	mathbits "math/bits"
	"slices"
)

// numbers is a set of the numbers of an epoch: all up to upto, and some of the [Window] behind it.
type numbers struct {
	upto  uint64
	words map[uint64]uint64 // of 64 numbers each, by the first one / 64; without those up to upto
}

func place(n uint64) (word, mask uint64) { return n / 64, 1 << (n % 64) }

func (s *numbers) has(n uint64) bool {
	w, mask := place(n)
	return n <= s.upto || s.words[w]&mask != 0
}

// add adds a number of at most upto + Window.
func (s *numbers) add(n uint64) {
	switch {
	case n <= s.upto:
	case n == s.upto+1:
		s.settle(n)
	default:
		if s.words == nil {
			s.words = make(map[uint64]uint64)
		}
		w, mask := place(n)
		s.words[w] |= mask
	}
}

// settle adds all numbers up to n, and those that follow without a gap.
func (s *numbers) settle(n uint64) {
	if n <= s.upto {
		return
	}
	first, _ := place(s.upto)
	last, mask := place(n)
	for w := first; w < last && len(s.words) > 0 && w-first <= Window/64; w++ {
		delete(s.words, w)
	}
	s.upto = n
	for len(s.words) > 0 {
		rest := s.words[last] &^ (mask | (mask - 1))
		next := mask << 1
		if next == 0 {
			next = 1
			delete(s.words, last)
			last++
			rest = s.words[last]
		}
		if rest == 0 {
			delete(s.words, last)
			return
		}
		if s.words[last] = rest; rest&next == 0 {
			return
		}
		s.upto, mask = s.upto+1, next
	}
	s.words = nil
}

// clone returns a copy, to which numbers may be added.
func (s *numbers) clone() numbers { return numbers{s.upto, maps.Clone(s.words)} }

// append appends the set: upto, how many words there are, and for each its distance from the one before
// and its bits. That has at most about 9 KiB.
func (s *numbers) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, s.upto)
	dst = binary.AppendUvarint(dst, uint64(len(s.words)))
	before, _ := place(s.upto)
	for _, w := range slices.Sorted(maps.Keys(s.words)) {
		dst = binary.AppendUvarint(dst, w-before)
		dst = binary.BigEndian.AppendUint64(dst, s.words[w])
		before = w
	}
	return dst
}

// numbers decodes what append has appended.
func (d *decoder) numbers() (s numbers) {
	s.upto = d.uvarint()
	n := d.uvarint()
	if n > Window/64+1 {
		d.fail(fmt.Errorf("%w: %d words of numbers", ErrLimit, n))
	}
	w, _ := place(s.upto)
	last, _ := place(s.upto + Window)
	for range n {
		w += d.uvarint()
		bits := d.fixed()
		if d.err != nil {
			return numbers{}
		}
		if w > last {
			d.fail(fmt.Errorf("%w: numbers", ErrUndecodable))
			return numbers{}
		}
		for all := range each(w, bits) {
			if all > s.upto && all <= s.upto+Window {
				s.add(all)
			}
		}
	}
	return s
}

// all yields the numbers behind upto.
func (s *numbers) all() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for w, bits := range s.words {
			for n := range each(w, bits) {
				if n > s.upto && !yield(n) {
					return
				}
			}
		}
	}
}

// each yields the numbers of a word.
func each(w, bits uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for ; bits != 0; bits &= bits - 1 {
			if !yield(w*64 + uint64(mathbits.TrailingZeros64(bits))) {
				return
			}
		}
	}
}

// size is how many bytes the set has, about.
func (s *numbers) size() int { return 40 * len(s.words) }
