package saf

import "github.com/gamelan-p2p/gamelan/identity"

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

// scope says of which set of records a share is.
type scope uint8

const (
	inAll scope = iota
	inSource
	inDestination
	inPair
	scopes
)

// pair names the records of one source for one destination: by the numbers of their shares.
type pair struct{ source, target int32 }

// share is all records, those of a source, those for a destination, or those of one source
// for one destination.
type share struct {
	id     identity.NodeID // of the source or the destination; zero for others
	chains [classes]chain
	last   chain // of a destination: those delivered, the one whose last confirmation is the oldest first
	pairs  chain // of a destination: its shares of pairs
	beside link  // of a pair: in the pairs of its destination

	messages, highMessages int32
	bytes, highBytes       int64
}

// lowest returns the lowest class that has records.
func (s *share) lowest() class {
	for c := range classes {
		if s.chains[c].oldest != 0 {
			return c
		}
	}
	return high
}

// first returns the record that makes way first, 0 if there is none.
func (s *share) first() int32 { return s.chains[s.lowest()].oldest }

// quota limits a share.
type quota struct {
	messages int
	bytes    int64
}

// over reports whether the share exceeds the limits with one more record.
func (s *share) over(q quota, size int64) bool {
	return int(s.messages) >= q.messages || s.bytes > q.bytes-size
}

// hopeless reports whether the share exceeds the limits with one more record of the
// class even if every record that may make way for it does.
func (s *share) hopeless(q quota, size int64, c class) bool {
	better, betterBytes := 0, int64(0)
	if c != high {
		better, betterBytes = int(s.highMessages), s.highBytes
	}
	return better >= q.messages || betterBytes > q.bytes-size
}

// shares are the shares of one scope that have records, by their keys.
type shares[K comparable] struct {
	index map[K]int32
	list  slab[share]
}

func newShares[K comparable]() shares[K] { return shares[K]{index: make(map[K]int32)} }

// find returns the share of a key, nil if it has none.
func (s *shares[K]) find(key K) *share {
	if i, ok := s.index[key]; ok {
		return s.list.at(i)
	}
	return nil
}

// make returns the number of the share of a key, which it makes if there is none.
func (s *shares[K]) make(key K) int32 {
	i, ok := s.index[key]
	if !ok {
		i = s.list.add()
		s.index[key] = i
	}
	return i
}

// drop removes a share that has become empty.
func (s *shares[K]) drop(i int32, key K) {
	if s.list.at(i).messages == 0 {
		delete(s.index, key)
		s.list.remove(i)
	}
}
