package mux

import "sync"

// segments are bytes in borrowed pieces. Only the last one has room left, and the first one may
// have been read in part: at most two large pieces more than there are bytes.
type segments struct{ head, tail *segment }

// extend appends a piece with room for n bytes, at most largeSegment.
func (l *segments) extend(n int) *segment {
	s := takeSegment(n)
	if l.tail == nil {
		l.head = s
	} else {
		l.tail.next = s
	}
	l.tail = s
	return s
}

// shift gives the first piece back.
func (l *segments) shift() {
	s := l.head
	if l.head = s.next; l.head == nil {
		l.tail = nil
	}
	s.give()
}

// free gives all pieces back.
func (l *segments) free() {
	for l.head != nil {
		l.shift()
	}
}

type segment struct {
	next     *segment
	b        []byte
	off, end int // unread: b[off:end]
}

// Sizes of segments: a few short messages, a medium one, and the largest frame that leaves.
const (
	smallSegment  = 512
	mediumSegment = 8 << 10
	largeSegment  = headerLen + MaxPiece
)

var smallSegments, mediumSegments, largeSegments = newPool(smallSegment), newPool(mediumSegment), newPool(largeSegment)

func newPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return &segment{b: make([]byte, size)} }}
}

// pool returns where segments for n bytes come from.
func pool(n int) *sync.Pool {
	switch {
	case n <= smallSegment:
		return smallSegments
	case n <= mediumSegment:
		return mediumSegments
	}
	return largeSegments
}

func takeSegment(n int) *segment { return pool(n).Get().(*segment) }

// give gives the segment back.
func (s *segment) give() {
	s.next, s.off, s.end = nil, 0, 0
	pool(len(s.b)).Put(s)
}
