package saf

import (
	"cmp"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// counts are of what happened since the start.
type counts struct {
	added, confirmed, expired, removed uint64
	evicted                            [scopes]uint64
	refused                            [len(refusals)]uint64
}

// IndexStats describes an [Index]. The counts are since the start.
type IndexStats struct {
	Messages     int
	Bytes        int64
	Low, High    int   // by priority, of those never confirmed
	Delivered    int   // confirmed, and kept for the grace
	Oldest       int64 // least time of storing of the first records of each kind, Unix seconds; 0: none
	Destinations int   // with messages
	Sources      int   // with messages

	Added     uint64
	Confirmed uint64 // each time counts
	Expired   uint64
	Removed   uint64 // purged, or not readable on the disk

	// Evicted is how many were evicted for others, because of the limit in all, of a source, of
	// a destination, and of a source for a destination.
	Evicted, SourceEvicted, DestinationEvicted, PairEvicted uint64
	// Refused has the refusals of Add.
	Refused map[Refusal]uint64
}

// Stats returns the numbers of the index, in constant time.
func (x *Index) Stats() IndexStats {
	c := &x.counts
	s := IndexStats{
		Messages: int(x.all.messages), Bytes: x.all.bytes,
		Low: x.classes[low], High: x.classes[high], Delivered: x.classes[delivered],
		Destinations: len(x.targets.index), Sources: len(x.sources.index),
		Added: c.added, Confirmed: c.confirmed, Expired: c.expired, Removed: c.removed,
		Evicted: c.evicted[inAll], SourceEvicted: c.evicted[inSource], DestinationEvicted: c.evicted[inDestination],
		PairEvicted: c.evicted[inPair],
		Refused:     make(map[Refusal]uint64),
	}
	for r, n := range c.refused {
		if n > 0 {
			s.Refused[Refusal(r)] = n
		}
	}
	for c := range classes {
		if i := x.all.chains[c].oldest; i != 0 {
			if at := x.records.at(i).storedAt; s.Oldest == 0 || at < s.Oldest {
				s.Oldest = at
			}
		}
	}
	return s
}

// roomAgain is the part of a store that is free again when it is no longer full.
const roomAgain = 20

// Full reports whether messages have made way for others, or were refused, because of the
// limits in all, until a twentieth of the store is free again.
func (x *Index) Full() bool {
	if x.full {
		q := x.quotas[inAll]
		x.full = int(x.all.messages) > q.messages-max(1, q.messages/roomAgain) || x.all.bytes > q.bytes-q.bytes/roomAgain
	}
	return x.full
}

// Share is how much of the store a destination has.
type Share struct {
	ID       identity.NodeID
	Messages int
	Bytes    int64
}

// StoresFor reports whether there are records for a destination.
func (x *Index) StoresFor(destination identity.NodeID) bool {
	return x.targets.find(destination) != nil
}

// Destinations returns up to most destinations with the most bytes, in descending order.
// It looks at each destination once.
func (x *Index) Destinations(most int) []Share { return x.targets.largest(most) }

func (s *parts[K]) largest(most int) (list []Share) {
	compare := func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Messages, a.Messages), a.ID.Compare(b.ID))
	}
	cut := func() {
		slices.SortFunc(list, compare)
		list = list[:min(most, len(list))]
	}
	var last *Share // of those that are enough; nil: they are not
	for i := int32(1); i <= s.list.used; i++ {
		x := s.list.at(i)
		of := Share{x.id, int(x.messages), x.bytes}
		if x.messages == 0 || last != nil && compare(of, *last) > 0 {
			continue
		}
		if list = append(list, of); len(list) == 2*most {
			cut()
			end := list[most-1]
			last = &end
		}
	}
	cut()
	return list
}
