package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Record describes a stored message.
type Record struct {
	// Seq numbers the messages in the order in which they were stored; 0 is none. The
	// index gives it.
	Seq         uint64
	Hash        wire.Hash
	Destination identity.NodeID
	Source      identity.NodeID // the peer that brought it
	StoredAt    int64           // Unix seconds, by the system's clock
	Size        int             // see [Size]
	Priority    Priority
	Sent        uint8        // how often its destination confirmed it; 2 is twice or more
	From        share.Source // where the source was connected from
	Last        bool         // the source goes last: see [share.Holder]
}

// Ref names a record of an [Index]. It is valid for that index alone, and names nothing
// once the record was removed.
type Ref struct {
	Seq   uint64
	place int32
}

// Index has a record of each stored message, but no bodies. Its owner stores the same
// records on the disk: it adds what [Index.Add] takes, and deletes what the methods
// return as removed. What made way for an added message is deleted when that message is on
// the disk: see [Index.Settle] and [Index.Restore].
//
// A full index makes room for a message. For the limits in all, and of a destination, it is the
// source that makes way which has most, by shares of where the sources are connected from (package
// share), as if all that the last message of a source says held for all of its messages. For the
// limits of a source only its own messages make way, for those of a source and a destination only
// the source's messages for the destination. Of a source's messages those that were delivered make
// way first, then those with priority Low, then those with High; of equal ones the oldest. A message
// is refused if its own source would have to make way for it and has only better ones.
//
// Ages are measured by a clock that never steps. The system's clock counts once, when a
// record is loaded (docs/clock.md). All methods but Load, Drop and Destinations
// need logarithmic time for each record that they return or remove, apart from the
// requests with a time ("since") in [Index.Answer], and from an [Index.Add] that makes a destination
// full, which looks at each source that has brought messages for it. An Index is not safe for concurrent
// use. The zero Index is not ready; see [NewIndex].
type Index struct {
	limits  Limits
	quotas  [scopes]quota
	next    uint64
	order   uint64    // of the last record that came into a class
	begin   time.Time // ages count from here
	records slab[record]
	hashes  map[wire.Hash]int32
	all     part
	sources parts[identity.NodeID]
	targets parts[identity.NodeID]
	pairs   parts[pair]
	whole   share.Shares[int32]            // weights by number of the source
	crowds  map[int32]*share.Shares[int32] // the same of destinations that are full or were so lately
	classes [classes]int                   // records of each
	pinned  int32                          // a source that stays without messages, as it gets one
	away    map[uint64]away
	counts  counts
	full    bool // see Full
}

type record struct {
	hash           wire.Hash
	seq            uint64
	storedAt       int64
	due            time.Duration // when it is to be deleted, since begin
	order          uint64        // of a chain, grows from the oldest to the newest
	links          [scopes]link
	confirmed      time.Duration // last, since begin; if it was
	last           link
	source, target int32 // numbers of its parts
	pair           int32
	size           int32
	class          class
	sent           uint8 // see Record
}

// NewIndex returns an empty index.
func NewIndex(l Limits) *Index {
	return &Index{
		limits: l, next: 1, hashes: make(map[wire.Hash]int32), away: make(map[uint64]away), crowds: make(map[int32]*share.Shares[int32]),
		quotas: [scopes]quota{
			inAll:         {l.Messages, l.Bytes},
			inSource:      {l.SourceMessages, l.SourceBytes},
			inDestination: {l.DestinationMessages, l.DestinationBytes},
			inPair:        {l.PairMessages, l.PairBytes},
		},
		sources: newParts[identity.NodeID](), targets: newParts[identity.NodeID](), pairs: newParts[pair](),
	}
}

// From makes the index number further records from seq on, unless it is beyond that
// already. No number may be given twice while messages about it may be under way.
func (x *Index) From(seq uint64) { x.next = max(x.next, seq) }

// Add adds a record, whose Seq and Sent it ignores, and returns its name, and the
// messages that made way for it. These are remembered until the owner calls [Index.Settle] or
// [Index.Restore] for them. If Add refuses the record, nothing changes.
func (x *Index) Add(now time.Time, r Record) (Ref, []uint64, Refusal) {
	if _, ok := x.hashes[r.Hash]; ok {
		x.counts.refused[AlreadyStored]++
		return Ref{}, nil, AlreadyStored
	}
	before := x.counts.evicted[inAll]
	gone, why := x.makeRoom(&r, x.keepAway)
	if why != 0 {
		x.counts.refused[why]++
		x.full = x.full || why == Full
		return Ref{}, nil, why
	}
	x.full = x.full || x.counts.evicted[inAll] > before
	r.Seq, r.Sent = x.next, 0
	x.next++
	x.counts.added++
	place := x.insert(r, plus(x.since(now), x.validity(r.Priority)))
	return Ref{r.Seq, place}, gone, 0
}

// Load adds a record from the disk. Load the records in the order of their numbers before
// any are added. Wall is the system's clock, by which the age of the record counts. A
// record with a time in the future was stored before the clock was set back and counts
// as new. One that was confirmed counts as confirmed for the first time now. Load returns the records
// that are to be deleted: this one, if it is refused, or those that make way for it
// because the limits have become less. Records that have expired are left to
// [Index.Expire].
func (x *Index) Load(now, wall time.Time, r Record) (gone []uint64) {
	x.From(r.Seq + 1)
	if _, ok := x.hashes[r.Hash]; ok {
		return []uint64{r.Seq}
	}
	gone, why := x.makeRoom(&r, func(scope, int32) {})
	if why != 0 {
		return []uint64{r.Seq}
	}
	left := x.validity(r.Priority)
	switch age := wall.Unix() - max(0, r.StoredAt); {
	case age > int64(left/time.Second):
		left = 0
	case age > 0:
		left -= time.Duration(age) * time.Second
	}
	place := x.insert(r, plus(x.since(now), left))
	if r.Sent > 0 {
		x.confirm(now, place)
		x.records.at(place).sent = min(r.Sent, mostSent)
	}
	return gone
}

// partOf returns the part of the record's scope, nil if it has none.
func (x *Index) partOf(s scope, r *Record) *part {
	switch s {
	case inSource:
		return x.sources.find(r.Source)
	case inDestination:
		return x.targets.find(r.Destination)
	case inPair:
		source, known := x.sources.index[r.Source]
		target, wanted := x.targets.index[r.Destination]
		if !known || !wanted {
			return nil
		}
		return x.pairs.find(pair{source, target})
	}
	return &x.all
}

// insert adds a record that [Index.makeRoom] has counted.
func (x *Index) insert(r Record, due time.Duration) (place int32) {
	place = x.enter(record{hash: r.Hash, seq: r.Seq, storedAt: r.StoredAt, size: int32(r.Size)}, r.Source, r.Destination)
	x.link(place, r.Priority.class(), due)
	return place
}

// enter gives a record a place, but no place in the chains of its parts.
func (x *Index) enter(r record, source, destination identity.NodeID) (place int32) {
	place = x.records.add()
	e := x.records.at(place)
	*e = r
	e.source, e.target = x.sources.make(source), x.targets.make(destination)
	x.sources.list.at(e.source).id, x.targets.list.at(e.target).id = source, destination
	e.pair = x.pairs.make(pair{e.source, e.target})
	if x.pairs.list.at(e.pair).messages == 0 {
		x.targets.list.at(e.target).pairs.append(e.pair, x.pairLink)
	}
	x.hashes[e.hash] = place
	return place
}

// remove removes a record and returns its number.
func (x *Index) remove(place int32) (seq uint64) {
	e := x.records.at(place)
	x.unlink(place)
	x.weigh(e, -1)
	x.thin(e.target)
	seq = e.seq
	if x.pairs.list.at(e.pair).messages == 0 {
		x.targets.list.at(e.target).pairs.remove(e.pair, x.pairLink)
	}
	x.pairs.drop(e.pair, pair{e.source, e.target})
	if e.source != x.pinned {
		x.sources.drop(e.source, x.sources.list.at(e.source).id)
	}
	x.targets.drop(e.target, x.targets.list.at(e.target).id)
	delete(x.hashes, e.hash)
	x.records.remove(place)
	return seq
}
