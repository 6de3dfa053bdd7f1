package saf

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// class orders records by who makes way first: the lowest class, and of one class the
// record that came into it first.
type class uint8

const (
	delivered class = iota // confirmed by their destination
	low
	high
	classes
)

func (p Priority) class() class {
	if p == High {
		return high
	}
	return low
}

// chain is a list of records, such as those of one class, in the order in which they came
// into it.
type chain struct{ oldest, newest int32 }

type link struct{ older, newer int32 }

// scope says of which set of records a part is.
type scope uint8

const (
	inAll scope = iota
	inSource
	inDestination
	inPair
	scopes
)

// pair names the records of one source for one destination: by the numbers of their parts.
type pair struct{ source, target int32 }

// part is all records, those of a source, those for a destination, or those of one source
// for one destination.
type part struct {
	id     identity.NodeID // of the source or the destination; zero for others
	late   bool            // of a source: it goes last, see Record
	from   share.Source    // of a source: see Record
	chains [classes]chain
	last   chain // of a destination: those delivered, the one whose last confirmation is the oldest first
	pairs  chain // of a destination: its parts of pairs
	beside link  // of a pair: in the pairs of its destination

	messages, highMessages int32
	bytes, highBytes       int64
}

// lowest returns the lowest class that has records.
func (s *part) lowest() class {
	for c := range classes {
		if s.chains[c].oldest != 0 {
			return c
		}
	}
	return high
}

// first returns the record that makes way first, 0 if there is none.
func (s *part) first() int32 { return s.chains[s.lowest()].oldest }

// quota limits a part.
type quota struct {
	messages int
	bytes    int64
}

// hopeless reports whether the part exceeds the limits with one more record of the
// class even if every record that may make way for it does.
func (s *part) hopeless(q quota, size int64, c class) bool {
	better, betterBytes := 0, int64(0)
	if c != high {
		better, betterBytes = int(s.highMessages), s.highBytes
	}
	return better >= q.messages || betterBytes > q.bytes-size
}

// parts are the parts of one scope that have records, by their keys.
type parts[K comparable] struct {
	index map[K]int32
	list  slab[part]
}

func newParts[K comparable]() parts[K] { return parts[K]{index: make(map[K]int32)} }

// find returns the part of a key, nil if it has none.
func (s *parts[K]) find(key K) *part {
	if i, ok := s.index[key]; ok {
		return s.list.at(i)
	}
	return nil
}

// make returns the number of the part of a key, which it makes if there is none.
func (s *parts[K]) make(key K) int32 {
	i, ok := s.index[key]
	if !ok {
		i = s.list.add()
		s.index[key] = i
	}
	return i
}

// drop removes a part that has become empty.
func (s *parts[K]) drop(i int32, key K) {
	if s.list.at(i).messages == 0 {
		delete(s.index, key)
		s.list.remove(i)
	}
}
