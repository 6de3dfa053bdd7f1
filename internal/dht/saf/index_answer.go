package saf

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// RepeatAfter is how long after its confirmation a message is repeated at the earliest.
const RepeatAfter = time.Minute

// repeatPart is the part of a full answer that may be repeats although there are messages
// that were never confirmed.
const repeatPart = 5

// mostSent is the greatest number of confirmations of a message that is kept.
const mostSent = 2

// Item is a message of an answer.
type Item struct {
	Ref
	StoredAt int64 // Unix seconds
	Size     int   // see [Size]
}

// Answer returns the messages for the answer to a request, newest first. They are
// messages for the requester alone, stored after the request's Since unless that is 0, no
// more than its Limit and [Limits].Answer, of at most the given sum of sizes (spec: dht
// 8.4, Q23).
//
// The oldest messages that the requester has not confirmed come first, so that further
// requests get the rest. A message that it last confirmed at least [RepeatAfter] ago is
// repeated until the grace after its first confirmation is over: the requester may not
// have processed the message, for instance because it failed, or because nothing handled
// messages of that type yet. Repeats are those that have waited longest, and get a fifth
// of the answer, and what is left. A message that is larger than all of an answer is left
// out.
//
// Answer changes nothing. Call [Index.Confirmed] when the answer was written.
func (x *Index) Answer(now time.Time, requester identity.NodeID, q wire.StoredRequest, bytes int64) []Item {
	of := x.targets.find(requester)
	if of == nil {
		return nil
	}
	n := x.limits.Answer
	if q.Limit != 0 {
		n = min(n, int(q.Limit))
	}
	a := answer{index: x, now: x.since(now), since: q.Since, most: bytes}
	again := of.last.oldest
	a.messages, a.bytes = n/repeatPart, bytes/repeatPart
	again = a.repeat(again)
	a.messages, a.bytes = n, bytes
	a.fresh(of.chains[low].oldest, of.chains[high].oldest)
	a.repeat(again)
	slices.SortFunc(a.items, func(i, j Item) int { return cmp.Compare(j.Seq, i.Seq) })
	return a.items
}

// answer is an answer that is being put together.
type answer struct {
	index *Index
	now   time.Duration
	since uint64
	most  int64 // bytes of a whole answer

	messages int   // most items
	bytes    int64 // most bytes of items
	items    []Item
	size     int64
	full     bool
}

// take adds a record unless it does not belong into the answer. It returns false when
// there is no room for it.
func (a *answer) take(place int32, e *record) bool {
	switch {
	case e.due <= a.now, a.since != 0 && uint64(max(e.storedAt, 0)) <= a.since, int64(e.size) > a.most:
		return true
	case len(a.items) >= a.messages, int64(e.size) > a.bytes-a.size:
		return false
	}
	a.items = append(a.items, Item{Ref{e.seq, place}, e.storedAt, int(e.size)})
	a.size += int64(e.size)
	return true
}

// fresh adds records of two chains in the order of their numbers.
func (a *answer) fresh(i, j int32) {
	records := &a.index.records
	for i != 0 || j != 0 {
		next := &i
		if i == 0 || j != 0 && records.at(j).seq < records.at(i).seq {
			next = &j
		}
		e := records.at(*next)
		if !a.take(*next, e) {
			a.full = true // an older one first: what comes later has to wait for it
			return
		}
		*next = e.links[inDestination].newer
	}
}

// repeat adds records that were confirmed, from the one on whose last confirmation is the
// oldest, and returns the first that it has not looked at.
func (a *answer) repeat(i int32) int32 {
	for !a.full && i != 0 {
		e := a.index.records.at(i)
		if a.now-e.confirmed < RepeatAfter || !a.take(i, e) {
			break
		}
		i = e.last.newer
	}
	return i
}

// Confirmed notes that these messages were written to their destination, most often in an
// answer, and that it has acknowledged the bytes. It returns those for which [Index.Sent] now returns another
// number, which the disk must hold, the oldest first.
func (x *Index) Confirmed(now time.Time, refs []Ref) (changed []Ref) {
	refs = slices.SortedFunc(slices.Values(refs), func(i, j Ref) int { return cmp.Compare(i.Seq, j.Seq) })
	for _, r := range refs {
		if _, ok := x.find(r); ok {
			x.counts.confirmed++
			if x.confirm(now, r.place) {
				changed = append(changed, r)
			}
		}
	}
	return changed
}

// Find returns the name of the record with that hash for that destination.
func (x *Index) Find(h wire.Hash, destination identity.NodeID) (Ref, bool) {
	place, ok := x.hashes[h]
	if !ok {
		return Ref{}, false
	}
	e := x.records.at(place)
	return Ref{e.seq, place}, x.targets.list.at(e.target).id == destination
}

// Sent returns how often the destination has confirmed a message: 0, 1, or 2 for more; 0
// if there is no such message.
func (x *Index) Sent(r Ref) uint8 {
	if e, ok := x.find(r); ok {
		return e.sent
	}
	return 0
}

// find returns the record of a name.
func (x *Index) find(r Ref) (*record, bool) {
	if r.Seq == 0 || r.place <= 0 || r.place > x.records.used {
		return nil, false
	}
	e := x.records.at(r.place)
	return e, e.seq == r.Seq
}

// confirm counts a confirmation of a record, and reports whether it is one of the first
// mostSent. The first one moves the record to those that were delivered, and begins its
// grace; each makes it the last one to be repeated.
func (x *Index) confirm(now time.Time, place int32) (counted bool) {
	e := x.records.at(place)
	if e.class != delivered {
		x.unlink(place)
		x.link(place, delivered, plus(x.since(now), x.limits.Grace))
	} else {
		x.unlinkLast(place)
	}
	x.linkLast(place, x.since(now))
	if e.sent == mostSent {
		return false
	}
	e.sent++
	return true
}
