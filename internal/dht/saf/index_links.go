package saf

import (
	"math"
	"time"
)

// parts returns the parts of a record by scope.
func (x *Index) parts(e *record) [scopes]*part {
	return [scopes]*part{
		inAll: &x.all, inSource: x.sources.list.at(e.source), inDestination: x.targets.list.at(e.target),
		inPair: x.pairs.list.at(e.pair),
	}
}

// link puts a record at the end of the chains of a class, in each of its parts. The
// records of a class end in the order of its chain: a record that would end before the
// one in front of it is kept as long as that one.
func (x *Index) link(place int32, c class, due time.Duration) {
	e := x.records.at(place)
	if last := x.all.chains[c].newest; last != 0 {
		due = max(due, x.records.at(last).due)
	}
	x.order++
	e.class, e.due, e.order = c, due, x.order
	x.classes[c]++
	for s, of := range x.parts(e) {
		of.count(e, 1)
		of.chains[c].append(place, func(i int32) *link { return &x.records.at(i).links[s] })
	}
}

// unlink removes a record from all its chains.
func (x *Index) unlink(place int32) {
	e := x.records.at(place)
	x.classes[e.class]--
	for s, of := range x.parts(e) {
		of.count(e, -1)
		of.chains[e.class].remove(place, func(i int32) *link { return &x.records.at(i).links[s] })
	}
	if e.class == delivered {
		x.unlinkLast(place)
	}
}

// linkLast makes a record that was delivered the last one of its destination to be
// repeated. Times of confirmations do not decrease in that order.
func (x *Index) linkLast(place int32, confirmed time.Duration) {
	e := x.records.at(place)
	ch := &x.targets.list.at(e.target).last
	if ch.newest != 0 {
		confirmed = max(confirmed, x.records.at(ch.newest).confirmed)
	}
	e.confirmed = confirmed
	ch.append(place, x.lastLink)
}

func (x *Index) unlinkLast(place int32) {
	x.targets.list.at(x.records.at(place).target).last.remove(place, x.lastLink)
}

func (x *Index) pairLink(part int32) *link { return &x.pairs.list.at(part).beside }

func (x *Index) lastLink(place int32) *link { return &x.records.at(place).last }

// append puts a record at the end of the chain. The function at returns a record's link
// in it.
func (c *chain) append(place int32, at func(int32) *link) { c.insert(place, 0, at) }

// insert puts a record in front of the record next, or if that is 0 at the end of the chain.
func (c *chain) insert(place, next int32, at func(int32) *link) {
	older := c.newest
	if next != 0 {
		older = at(next).older
		at(next).older = place
	} else {
		c.newest = place
	}
	*at(place) = link{older: older, newer: next}
	if older != 0 {
		at(older).newer = place
	} else {
		c.oldest = place
	}
}

// remove takes a record out of the chain.
func (c *chain) remove(place int32, at func(int32) *link) {
	l := *at(place)
	if l.older != 0 {
		at(l.older).newer = l.newer
	} else {
		c.oldest = l.newer
	}
	if l.newer != 0 {
		at(l.newer).older = l.older
	} else {
		c.newest = l.older
	}
}

// count counts a record that came or, with sign -1, went.
func (s *part) count(e *record, sign int32) {
	size := int64(sign) * int64(e.size)
	s.messages += sign
	s.bytes += size
	if e.class == high {
		s.highMessages += sign
		s.highBytes += size
	}
}

// since returns the time from the first call until now.
func (x *Index) since(now time.Time) time.Duration {
	if x.begin.IsZero() {
		x.begin = now
	}
	return now.Sub(x.begin)
}

func (x *Index) validity(p Priority) time.Duration {
	if p == High {
		return x.limits.High
	}
	return x.limits.Low
}

// plus adds durations that are not negative together; it does not overflow.
func plus(a, b time.Duration) time.Duration {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
