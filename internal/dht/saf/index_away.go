package saf

import (
	"cmp"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// away is a record that has made way for one that may not be on the disk yet.
type away struct {
	record
	source, destination identity.NodeID
	limit               scope // whose limit it made way for
	from                share.Source
	late                bool
}

// keepAway remembers a record that makes way.
func (x *Index) keepAway(limit scope, place int32) {
	e := x.records.at(place)
	source := x.sources.list.at(e.source)
	x.away[e.seq] = away{*e, source.id, x.targets.list.at(e.target).id, limit, source.from, source.late}
}

// Settle forgets messages that have made way for others, because those are on the disk.
func (x *Index) Settle(seqs []uint64) {
	for _, seq := range seqs {
		delete(x.away, seq)
	}
}

// Restore takes messages back that have made way for others, because those could not be written
// and were removed. Each is in its old order again, with its old age. The messages may exceed the limits
// until the next Add. Restore returns as dead those that are to be deleted all the same, because they were
// removed meanwhile. Those that have come again it returns as again: call Settle or Restore for them when
// it is known whether the other copy is on the disk.
//
// Restore needs time for each message in the chains of what it takes back.
func (x *Index) Restore(seqs []uint64) (dead, again []uint64) {
	var back []away
	for _, seq := range seqs {
		if a, ok := x.away[seq]; ok {
			back = append(back, a)
		} else {
			dead = append(dead, seq)
		}
	}
	slices.SortFunc(back, func(a, b away) int { return cmp.Compare(a.order, b.order) })
	last := make(map[chainName]int32)
	for _, a := range back {
		if _, ok := x.hashes[a.hash]; ok {
			again = append(again, a.seq)
			continue
		}
		delete(x.away, a.seq)
		x.counts.evicted[a.limit]--
		place := x.enter(a.record, a.source, a.destination)
		e := x.records.at(place)
		if source := x.sources.list.at(e.source); source.messages == 0 {
			source.from, source.late = a.from, a.late
		}
		x.relink(place, last)
		x.weigh(e, 1)
	}
	return dead, again
}

// chainName names a chain of a class.
type chainName struct {
	scope
	part int32 // of the scope
	class
}

// relink puts a record where it was in the chains of its class. last has the record that was
// put into each chain before it. The records of a chain end in its order, so the record may have to end
// with one of its neighbours.
func (x *Index) relink(place int32, last map[chainName]int32) {
	e := x.records.at(place)
	x.classes[e.class]++
	for s, of := range x.parts(e) {
		of.count(e, 1)
		at := func(i int32) *link { return &x.records.at(i).links[s] }
		name := chainName{scope(s), [scopes]int32{0, e.source, e.target, e.pair}[s], e.class}
		next := of.chains[e.class].oldest
		if before := last[name]; before != 0 {
			next = at(before).newer
		}
		for next != 0 && x.records.at(next).order < e.order {
			next = at(next).newer
		}
		of.chains[e.class].insert(place, next, at)
		if older := at(place).older; older != 0 {
			e.due = max(e.due, x.records.at(older).due)
		}
		if next != 0 {
			e.due = min(e.due, x.records.at(next).due)
		}
		last[name] = place
	}
	if e.class == delivered {
		all := &x.targets.list.at(e.target).last
		next := all.oldest
		for next != 0 && x.records.at(next).confirmed <= e.confirmed {
			next = x.lastLink(next).newer
		}
		all.insert(place, next, x.lastLink)
	}
}

// Forget forgets the messages for a destination that Restore would take back, and returns their
// numbers, in order: they are purged.
func (x *Index) Forget(destination identity.NodeID) []uint64 {
	return x.forget(func(a away) bool { return a.destination == destination })
}

// ForgetAll is Forget for all destinations.
func (x *Index) ForgetAll() []uint64 { return x.forget(func(away) bool { return true }) }

func (x *Index) forget(chosen func(away) bool) (gone []uint64) {
	for seq, a := range x.away {
		if chosen(a) {
			gone = append(gone, seq)
			delete(x.away, seq)
		}
	}
	slices.Sort(gone)
	return gone
}
