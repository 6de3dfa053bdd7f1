package saf

import (
	"math"

	"github.com/gamelan-p2p/gamelan/internal/share"
)

type holder = share.Holder[int32]

// holderOf returns the holder that a source is, by its number.
func (x *Index) holderOf(source int32) holder {
	p := x.sources.list.at(source)
	return holder{Source: p.from, Key: source, Last: p.late}
}

// weightUnit is the weight of a full store or destination, roughly.
const weightUnit = 1 << 50

// weight returns which part of the quota records have, as a number that can be added.
func (q quota) weight(messages, bytes int64) int64 {
	return messages*max(1, weightUnit/max(1, int64(q.messages))) + bytes*max(1, weightUnit/max(1, q.bytes))
}

// weigh counts a record in the shares of its source, or with sign -1 no longer.
func (x *Index) weigh(e *record, sign int64) {
	h := x.holderOf(e.source)
	x.whole.Add(h, sign*x.quotas[inAll].weight(1, int64(e.size)))
	if crowd := x.crowds[e.target]; crowd != nil {
		crowd.Add(h, sign*x.quotas[inDestination].weight(1, int64(e.size)))
	}
}

// crowd returns the shares of the sources that have brought messages for a destination.
func (x *Index) crowd(target int32) *share.Shares[int32] {
	crowd := x.crowds[target]
	if crowd != nil {
		return crowd
	}
	crowd = new(share.Shares[int32])
	for i := x.targets.list.at(target).pairs.oldest; i != 0; i = x.pairLink(i).newer {
		p := x.pairs.list.at(i)
		source := x.records.at(p.first()).source
		crowd.Add(x.holderOf(source), x.quotas[inDestination].weight(int64(p.messages), p.bytes))
	}
	x.crowds[target] = crowd
	return crowd
}

// thin forgets the shares of a destination that is not half full any more.
func (x *Index) thin(target int32) {
	if x.crowds[target] == nil {
		return
	}
	q, p := x.quotas[inDestination], x.targets.list.at(target)
	if int(p.messages) <= q.messages/2 && p.bytes <= q.bytes/2 {
		delete(x.crowds, target)
	}
}

// moved notes where a source is connected from, and whether it goes last: for all of its messages.
func (x *Index) moved(source int32, r *Record) {
	p, before := x.sources.list.at(source), x.holderOf(source)
	p.from, p.late = r.From, r.Last || p.late
	after := x.holderOf(source)
	if before == after || p.messages == 0 {
		return
	}
	x.whole.Move(before, after, x.quotas[inAll].weight(int64(p.messages), p.bytes))
	for target, crowd := range x.crowds {
		if i, ok := x.pairs.index[pair{source, target}]; ok {
			p := x.pairs.list.at(i)
			crowd.Move(before, after, x.quotas[inDestination].weight(int64(p.messages), p.bytes))
		}
	}
}

// room is a search for records that make way for a new one. Nothing is removed before it is known
// that the new one is stored.
type room struct {
	x       *Index
	r       *Record
	source  int32 // number of its source
	target  int32 // number of its destination; 0: it has no messages yet
	leaving []leaving
	marked  map[int32]struct{} // places of leaving
	cursors map[cursorKey]cursor
	spared  [scopes]struct{ messages, bytes int64 } // of leaving, in the scopes of the record
}

type leaving struct {
	place int32
	scope scope // whose limit it makes way for
}

type cursorKey struct {
	scope
	part int32
}

type cursor struct {
	class
	place int32 // 0: the class has not begun
}

// makeRoom removes records until there is room for r, and counts r in the shares. It calls leaves
// for each before, with the scope whose limit it makes way for. If r is refused, nothing is removed.
func (x *Index) makeRoom(r *Record, leaves func(scope, int32)) (gone []uint64, why Refusal) {
	var none part
	for s, why := range [scopes]Refusal{inAll: Full, inSource: SourceFull, inDestination: DestinationFull, inPair: PairFull} {
		of := &none
		if found := x.partOf(scope(s), r); found != nil && (scope(s) == inSource || scope(s) == inPair) {
			of = found
		}
		if r.Size < 0 || r.Size > math.MaxInt32 || of.hopeless(x.quotas[s], int64(r.Size), r.Priority.class()) {
			return nil, why
		}
	}
	f := room{x: x, r: r, source: x.sources.make(r.Source), target: x.targets.index[r.Destination]}
	x.moved(f.source, r)
	own := x.holderOf(f.source)
	f.count(own, 1)
	why = f.find()
	for _, l := range f.leaving { // what was lent comes back
		x.weigh(x.records.at(l.place), 1)
	}
	if why != 0 {
		f.count(own, -1)
		x.sources.drop(f.source, r.Source)
		return nil, why
	}
	x.pinned = f.source
	for _, l := range f.leaving {
		x.counts.evicted[l.scope]++
		leaves(l.scope, l.place)
		gone = append(gone, x.remove(l.place))
	}
	x.pinned = 0
	return gone, 0
}

// count counts the new record, or with sign -1 no longer.
func (f *room) count(own holder, sign int64) {
	x, size := f.x, int64(f.r.Size)
	x.whole.Add(own, sign*x.quotas[inAll].weight(1, size))
	if crowd := x.crowds[f.target]; crowd != nil && f.target != 0 {
		crowd.Add(own, sign*x.quotas[inDestination].weight(1, size))
	}
}

// find finds what makes way. It lends what that has in the shares.
func (f *room) find() Refusal {
	for _, s := range [scopes]scope{inPair, inDestination, inSource, inAll} {
		for f.over(s) {
			place := f.next(s)
			if place == 0 {
				return [scopes]Refusal{inAll: Full, inSource: SourceFull, inDestination: DestinationFull, inPair: PairFull}[s]
			}
			f.take(s, place)
		}
	}
	return 0
}

// over reports whether there is no room in the scope yet.
func (f *room) over(s scope) bool {
	of := f.x.partOf(s, f.r)
	if of == nil {
		return false
	}
	q, spared := f.x.quotas[s], f.spared[s]
	return int64(of.messages)-spared.messages >= int64(q.messages) || of.bytes-spared.bytes > q.bytes-int64(f.r.Size)
}

// next returns the record that makes way next in the scope, 0 if that would be the new one.
func (f *room) next(s scope) int32 {
	x := f.x
	switch s {
	case inSource:
		return f.first(s, f.source, high)
	case inPair:
		return f.first(s, x.pairs.index[pair{f.source, f.target}], high)
	}
	shares := &x.whole
	if s == inDestination {
		crowded := x.crowds[f.target] != nil
		if shares = x.crowd(f.target); !crowded { // it does not know the new record yet, nor what leaves
			shares.Add(x.holderOf(f.source), x.quotas[s].weight(1, int64(f.r.Size)))
			for _, l := range f.leaving {
				e := x.records.at(l.place)
				shares.Lend(x.holderOf(e.source), x.quotas[s].weight(1, int64(e.size)))
			}
		}
	}
	h, _ := shares.Most()
	most := high
	if h.Key == f.source {
		most = f.r.Priority.class()
	}
	if s == inDestination {
		return f.first(inPair, x.pairs.index[pair{h.Key, f.target}], most)
	}
	return f.first(inSource, h.Key, most)
}

// first returns the first record of a part that does not leave already: of the lowest class, none
// that is above most, the oldest.
func (f *room) first(s scope, number int32, most class) int32 {
	if number == 0 {
		return 0
	}
	parts := &f.x.sources.list
	if s == inPair {
		parts = &f.x.pairs.list
	}
	of, key := parts.at(number), cursorKey{s, number}
	at := f.cursors[key]
	for ; at.class <= most; at = (cursor{class: at.class + 1}) {
		next := of.chains[at.class].oldest
		if at.place != 0 {
			next = f.x.records.at(at.place).links[s].newer
		}
		for ; next != 0; next = f.x.records.at(next).links[s].newer {
			at.place = next
			if _, leaves := f.marked[next]; !leaves {
				if f.cursors == nil {
					f.cursors = make(map[cursorKey]cursor)
				}
				f.cursors[key] = at
				return next
			}
		}
	}
	return 0
}

// take has a record make way.
func (f *room) take(s scope, place int32) {
	x := f.x
	if f.marked == nil {
		f.marked = make(map[int32]struct{})
	}
	f.marked[place] = struct{}{}
	f.leaving = append(f.leaving, leaving{place, s})
	e := x.records.at(place)
	h := x.holderOf(e.source)
	x.whole.Lend(h, x.quotas[inAll].weight(1, int64(e.size)))
	if crowd := x.crowds[e.target]; crowd != nil {
		crowd.Lend(h, x.quotas[inDestination].weight(1, int64(e.size)))
	}
	in := [scopes]bool{inAll: true, inSource: e.source == f.source, inDestination: e.target == f.target, inPair: e.source == f.source && e.target == f.target}
	for s, is := range in {
		if is {
			f.spared[s].messages++
			f.spared[s].bytes += int64(e.size)
		}
	}
}
