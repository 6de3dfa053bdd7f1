package saf

// slab is a list of values that are addressed by number and never move. Number 0 is none.
// It keeps its memory: it takes as much as its greatest number of values needed.
type slab[T any] struct {
	chunks []*[slabChunk]T
	used   int32 // numbers that were ever given out
	free   []int32
}

const slabChunk = 1 << 10

// add returns the number of a new zero value.
func (s *slab[T]) add() int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.used++
	if int(s.used)/slabChunk >= len(s.chunks) {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	return s.used
}

func (s *slab[T]) at(i int32) *T { return &s.chunks[i/slabChunk][i%slabChunk] }

// remove makes the value zero. Its number may be given out again.
func (s *slab[T]) remove(i int32) {
	var zero T
	*s.at(i) = zero
	s.free = append(s.free, i)
}
