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
	scopes
)

// share is all records, those of a source, or those for a destination.
type share struct {
	id     identity.NodeID
	chains [classes]chain
	last   chain // of a destination: those delivered, the one whose last confirmation is the oldest first

	messages, highMessages int32
	bytes, highBytes       int64
}

// first returns the record that makes way first, 0 if there is none.
func (s *share) first() int32 {
	for c := range classes {
		if i := s.chains[c].oldest; i != 0 {
			return i
		}
	}
	return 0
}

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

// shares are the shares of one scope that have records.
type shares struct {
	index map[identity.NodeID]int32
	list  slab[share]
}

// find returns the share of id, nil if it has none.
func (s *shares) find(id identity.NodeID) *share {
	if i, ok := s.index[id]; ok {
		return s.list.at(i)
	}
	return nil
}

// make returns the number of the share of id, which it makes if there is none.
func (s *shares) make(id identity.NodeID) int32 {
	i, ok := s.index[id]
	if !ok {
		i = s.list.add()
		s.list.at(i).id = id
		s.index[id] = i
	}
	return i
}

// drop removes a share that has become empty.
func (s *shares) drop(i int32) {
	if x := s.list.at(i); x.messages == 0 {
		delete(s.index, x.id)
		s.list.remove(i)
	}
}
