package saf_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// model does what an index does, and looks at every record for it.
type model struct {
	limits saf.Limits
	next   uint64
	list   []*modelRecord // in the order of their numbers
	order  int
	stats  saf.IndexStats
	away   map[uint64]*modelRecord // they have made way for records that may not be written
	peers  map[identity.NodeID]modelPeer
}

// modelPeer is where a source of messages is connected from.
type modelPeer struct {
	from share.Source
	last bool
}

type modelRecord struct {
	saf.Record
	ref   saf.Ref
	class int // 0: confirmed, 1: low, 2: high
	order int // grows with each record that comes into a class
	due   time.Duration
	last  float64       // grows with each confirmation
	at    time.Duration // of the last confirmation
	scope int           // whose limit it has made way for
	from  modelPeer     // of its source then
}

func classOf(p saf.Priority) int {
	if p == saf.High {
		return 2
	}
	return 1
}

// most is the limits of a scope: 0 all, 1 the source's, 2 the destination's, 3 those of both.
func (m *model) most(scope int) (messages int, bytes int64) {
	switch scope {
	case 1:
		return m.limits.SourceMessages, m.limits.SourceBytes
	case 2:
		return m.limits.DestinationMessages, m.limits.DestinationBytes
	case 3:
		return m.limits.PairMessages, m.limits.PairBytes
	}
	return m.limits.Messages, m.limits.Bytes
}

func (m *model) within(scope int, r saf.Record) (list []*modelRecord) {
	for _, e := range m.list {
		source, destination := e.Source == r.Source, e.Destination == r.Destination
		if scope == 0 || scope == 1 && source || scope == 2 && destination || scope == 3 && source && destination {
			list = append(list, e)
		}
	}
	return list
}

func fits(list []*modelRecord, size, messages int, bytes int64) bool {
	sum := int64(size)
	for _, e := range list {
		sum += int64(e.Size)
	}
	return len(list)+1 <= messages && sum <= bytes
}

func (m *model) hopeless(r saf.Record) saf.Refusal {
	for scope, why := range refusals {
		better := slices.DeleteFunc(m.within(scope, r), func(e *modelRecord) bool { return scope%2 == 0 || e.class <= classOf(r.Priority) })
		messages, bytes := m.most(scope)
		if r.Size < 0 || r.Size > math.MaxInt32 || !fits(better, r.Size, messages, bytes) {
			return why
		}
	}
	return 0
}

var refusals = []saf.Refusal{saf.Full, saf.SourceFull, saf.DestinationFull, saf.PairFull} // by scope

func (m *model) has(h wire.Hash) bool {
	return slices.ContainsFunc(m.list, func(e *modelRecord) bool { return e.Hash == h })
}

func (m *model) evicted(scope int) *uint64 {
	return []*uint64{&m.stats.Evicted, &m.stats.SourceEvicted, &m.stats.DestinationEvicted, &m.stats.PairEvicted}[scope]
}

// makeRoom has the messages make way that the index has chosen, if it may choose them. Of equals
// any may be the newest. It returns those it has no reason for.
func (m *model) makeRoom(r saf.Record, gone []uint64, why saf.Refusal, away map[uint64]*modelRecord) (wrong string) {
	p := m.peers[r.Source]
	if len(m.within(1, r)) == 0 {
		p = modelPeer{}
	}
	m.peers[r.Source] = modelPeer{r.From, r.Last || p.last}
	left := slices.Clone(m.list)
	way := m.way(left, r, []int{3, 2, 1, 0}, gone, why)
	if way == nil {
		return fmt.Sprintf("%d make way for %+v, or it is refused as %v: that may not be", gone, r, why)
	}
	if why != 0 {
		return ""
	}
	for i, scope := range way[:len(way)-1] {
		e := m.find(gone[i])
		m.remove(e)
		e.scope, e.from, away[e.Seq] = scope, m.peers[e.Source], e
		*m.evicted(scope)++
	}
	return ""
}

// way returns for whose limits these messages make way, with a scope more at the end, and nil if
// the index may not choose them, or may not refuse the message, with anything that made way before.
func (m *model) way(list []*modelRecord, r saf.Record, scopes []int, gone []uint64, why saf.Refusal) (way []int) {
	if len(scopes) == 0 {
		if why != 0 || len(gone) > 0 {
			return nil
		}
		return []int{0}
	}
	scope := scopes[0]
	messages, bytes := m.most(scope)
	in := (&model{list: list}).within(scope, r)
	if fits(in, r.Size, messages, bytes) {
		return m.way(list, r, scopes[1:], gone, why)
	}
	for _, peer := range m.mostOf(scope, in, r) {
		var first *modelRecord
		for _, e := range in {
			if (scope%2 == 1 || e.Source == peer) && (first == nil || cmp.Or(e.class-first.class, e.order-first.order) < 0) {
				first = e
			}
		}
		if scope%2 == 0 && peer == r.Source && (first == nil || first.class > classOf(r.Priority)) {
			if why == refusals[scope] {
				return []int{0}
			}
			continue
		}
		rest := gone
		if why == 0 {
			if len(gone) == 0 || gone[0] != first.Seq {
				continue
			}
			rest = gone[1:]
		}
		without := slices.DeleteFunc(slices.Clone(list), func(e *modelRecord) bool { return e == first })
		if way := m.way(without, r, scopes, rest, why); way != nil {
			return append([]int{scope}, way...)
		}
	}
	return nil
}

// mostOf returns the sources that may make way in the scope.
func (m *model) mostOf(scope int, list []*modelRecord, r saf.Record) (peers []identity.NodeID) {
	if scope%2 == 1 {
		return []identity.NodeID{r.Source}
	}
	messages, bytes := m.most(scope)
	const unit = 1 << 50
	has := map[identity.NodeID]int64{}
	weigh := func(source identity.NodeID, size int) {
		has[source] += max(1, unit/int64(max(1, messages))) + int64(size)*max(1, unit/max(1, bytes))
	}
	weigh(r.Source, r.Size)
	last := m.peers[r.Source].last
	for _, e := range list {
		weigh(e.Source, e.Size)
		last = last && m.peers[e.Source].last
	}
	pressures := func(peer identity.NodeID) (of, subnet int64) {
		p := m.peers[peer]
		for other, n := range has {
			o := m.peers[other]
			if o.last != last || p.from == share.None && other != peer {
				continue
			}
			if o.from == p.from {
				of += n
			}
			if p.from.Subnet() != share.None && o.from.Subnet() == p.from.Subnet() {
				subnet += n
			}
		}
		if p.from == share.Exempt {
			return of * share.Subnet, 0
		}
		return of * share.Subnet * share.ExemptSources, subnet * share.ExemptSources
	}
	var most int64
	for peer := range has {
		if of, subnet := pressures(peer); m.peers[peer].last == last {
			most = max(most, of, subnet)
		}
	}
	for peer := range has {
		of, subnet := pressures(peer)
		if m.peers[peer].last != last || of < most && subnet < most {
			continue
		}
		better := false // of the same subnet or source, somebody else has more
		for other, n := range has {
			o, p := m.peers[other], m.peers[peer]
			if o.last != last {
				continue
			}
			if o.from == p.from && p.from != share.None {
				better = better || n > has[peer]
			} else if otherOf, _ := pressures(other); of < most && o.from.Subnet() == p.from.Subnet() {
				better = better || otherOf > of
			}
		}
		if !better {
			peers = append(peers, peer)
		}
	}
	return peers
}

func (m *model) remove(r *modelRecord) uint64 {
	m.list = slices.DeleteFunc(m.list, func(e *modelRecord) bool { return e == r })
	return r.Seq
}

func (m *model) enter(e *modelRecord, class int, due time.Duration) {
	for _, o := range m.list {
		if o != e && o.class == class {
			due = max(due, o.due)
		}
	}
	m.order++
	e.class, e.order, e.due = class, m.order, due
}

// add does what the index has done, and returns what was wrong with it.
func (m *model) add(now time.Duration, r saf.Record, ref saf.Ref, gone []uint64, why saf.Refusal) (wrong string) {
	want := saf.AlreadyStored
	if !m.has(r.Hash) {
		want = m.hopeless(r)
	}
	if want == 0 {
		wrong, want = m.makeRoom(r, gone, why, m.away), why
	}
	if wrong != "" || want != why {
		return cmp.Or(wrong, fmt.Sprintf("refused as %v, want %v", why, want))
	}
	if why != 0 {
		m.stats.Refused[why]++
		return ""
	}
	r.Seq, r.Sent = m.next, 0
	m.next++
	m.stats.Added++
	m.insert(r, ref, sum(now, m.validity(r.Priority)))
	return ""
}

func (m *model) insert(r saf.Record, ref saf.Ref, due time.Duration) *modelRecord {
	e := &modelRecord{Record: r, ref: ref}
	m.enter(e, classOf(r.Priority), due)
	m.list = append(m.list, e)
	return e
}

func (m *model) load(now time.Duration, wall time.Time, r saf.Record, gone []uint64) (wrong string) {
	m.next = max(m.next, r.Seq+1)
	refused := slices.Equal(gone, []uint64{r.Seq})
	if m.has(r.Hash) || m.hopeless(r) != 0 {
		if !refused {
			return "loaded"
		}
		return ""
	}
	if refused {
		for _, scope := range []int{0, 2} {
			if wrong = m.makeRoom(r, nil, refusals[scope], nil); wrong == "" {
				return ""
			}
		}
		return wrong
	}
	if wrong = m.makeRoom(r, gone, 0, make(map[uint64]*modelRecord)); wrong != "" {
		return wrong
	}
	left := m.validity(r.Priority)
	if at := time.Unix(max(0, r.StoredAt), 0); at.Before(wall) {
		left = max(0, at.Add(left).Sub(wall))
	}
	e := m.insert(r, saf.Ref{Seq: r.Seq}, sum(now, left))
	if e.Sent = 0; r.Sent > 0 {
		m.confirm(now, e)
		e.Sent = min(r.Sent, 2)
	}
	return ""
}

func (m *model) validity(p saf.Priority) time.Duration {
	if p == saf.High {
		return m.limits.High
	}
	return m.limits.Low
}

func sum(a, b time.Duration) time.Duration {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// confirm reports whether the number of confirmations changes that is on the disk.
func (m *model) confirm(now time.Duration, e *modelRecord) bool {
	if e.class != 0 {
		m.enter(e, 0, sum(now, m.limits.Grace))
	}
	e.at = now
	for _, o := range m.list {
		if o != e && o.class == 0 && o.Destination == e.Destination {
			e.at = max(e.at, o.at)
		}
	}
	m.order++
	e.last = float64(m.order)
	e.Sent++
	changed := e.Sent <= 2
	e.Sent = min(e.Sent, 2)
	return changed
}

// restore takes records back that have made way.
func (m *model) restore(seqs []uint64) (dead, again []uint64) {
	var back []*modelRecord
	for _, seq := range seqs {
		if e := m.away[seq]; e == nil {
			dead = append(dead, seq)
		} else {
			back = append(back, e)
		}
	}
	slices.SortFunc(back, func(a, b *modelRecord) int { return a.order - b.order })
	for _, e := range back {
		if m.has(e.Hash) {
			again = append(again, e.Seq)
			continue
		}
		delete(m.away, e.Seq)
		*m.evicted(e.scope)--
		if len(m.within(1, e.Record)) == 0 {
			m.peers[e.Source] = e.from
		}
		before, after := -1.0, float64(m.order+1) // in the order of confirmations
		for _, o := range m.list {
			if o.class == e.class && o.order < e.order {
				e.due = max(e.due, o.due)
			}
		}
		for _, o := range m.list {
			if o.class == e.class && o.order > e.order {
				e.due = min(e.due, o.due)
			}
			if o.class == 0 && o.Destination == e.Destination {
				if o.at <= e.at {
					before = max(before, o.last)
				} else {
					after = min(after, o.last)
				}
			}
		}
		e.last = (before + after) / 2
		e.ref = saf.Ref{Seq: e.Seq}
		at, _ := slices.BinarySearchFunc(m.list, e.Seq, func(o *modelRecord, seq uint64) int { return cmp.Compare(o.Seq, seq) })
		m.list = slices.Insert(m.list, at, e)
	}
	return dead, again
}

// removed is what the index does about a message that was not written.
func (m *model) removed(seq uint64) bool {
	delete(m.away, seq)
	e := m.find(seq)
	if e == nil {
		return false
	}
	m.remove(e)
	m.stats.Removed++
	return true
}

func (m *model) find(seq uint64) *modelRecord {
	for _, e := range m.list {
		if e.Seq == seq {
			return e
		}
	}
	return nil
}

func (m *model) answer(now time.Duration, id identity.NodeID, q wire.StoredRequest, most int64) (seqs []uint64) {
	n := m.limits.Answer
	if q.Limit != 0 && int(q.Limit) < n {
		n = int(q.Limit)
	}
	var fresh, again []*modelRecord
	for _, e := range m.list {
		switch {
		case e.Destination != id, e.due <= now, q.Since != 0 && (e.StoredAt < 0 || uint64(e.StoredAt) <= q.Since), int64(e.Size) > most:
		case e.class > 0:
			fresh = append(fresh, e)
		case now-e.at >= saf.RepeatAfter:
			again = append(again, e)
		}
	}
	slices.SortFunc(again, func(a, b *modelRecord) int { return cmp.Compare(a.last, b.last) })
	size := int64(0)
	take := func(list []*modelRecord, n int, bytes int64) []*modelRecord {
		for len(list) > 0 && len(seqs) < n && size+int64(list[0].Size) <= bytes {
			seqs, size, list = append(seqs, list[0].Seq), size+int64(list[0].Size), list[1:]
		}
		return list
	}
	again = take(again, n/5, most/5)
	if fresh = take(fresh, n, most); len(fresh) == 0 {
		take(again, n, most)
	}
	slices.Sort(seqs)
	slices.Reverse(seqs)
	return seqs
}

func (m *model) expire(now time.Duration, most int) (gone []uint64) {
	for class := range 3 {
		for len(gone) < most {
			list := slices.DeleteFunc(slices.Clone(m.list), func(e *modelRecord) bool { return e.class != class || e.due > now })
			if len(list) == 0 {
				break
			}
			gone = append(gone, m.remove(slices.MinFunc(list, func(a, b *modelRecord) int { return a.order - b.order })))
		}
	}
	m.stats.Expired += uint64(len(gone))
	return gone
}

func (m *model) now() saf.IndexStats {
	s := m.stats
	destinations, sources := map[identity.NodeID]bool{}, map[identity.NodeID]bool{}
	var first [3]*modelRecord
	for _, e := range m.list {
		s.Messages++
		s.Bytes += int64(e.Size)
		destinations[e.Destination], sources[e.Source] = true, true
		switch e.class {
		case 1:
			s.Low++
		case 2:
			s.High++
		default:
			s.Delivered++
		}
		if f := first[e.class]; f == nil || e.order < f.order {
			first[e.class] = e
		}
	}
	for _, e := range first {
		if e != nil && (s.Oldest == 0 || e.StoredAt < s.Oldest) {
			s.Oldest = e.StoredAt
		}
	}
	s.Destinations, s.Sources = len(destinations), len(sources)
	return s
}

func (m *model) due() (due time.Duration) {
	due = -1
	for _, e := range m.list {
		if at := max(0, e.due); due < 0 || at < due {
			due = at
		}
	}
	return due
}

// script makes choices from bytes, so that the fuzzer and a generator of random numbers
// can both write it. It ends with 0s.
type script struct{ rest []byte }

func (s *script) n(most int) int {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return int(b) % most
}

func ids(seqs []saf.Item) (list []uint64) {
	for _, i := range seqs {
		list = append(list, i.Seq)
	}
	return list
}

// limitsOf returns limits that are met often, and in the first cases none and all.
func limitsOf(s *script) saf.Limits {
	l := saf.Limits{Low: 6 * time.Hour, High: 72 * time.Hour, Grace: saf.LeastGrace, Answer: 1 + s.n(12)}
	switch s.n(16) {
	case 1:
		return l // nothing may be stored
	case 2:
		return saf.Limits{
			Messages: math.MaxInt, Bytes: math.MaxInt64, SourceMessages: math.MaxInt, SourceBytes: math.MaxInt64,
			DestinationMessages: math.MaxInt, DestinationBytes: math.MaxInt64, PairMessages: math.MaxInt, PairBytes: math.MaxInt64,
			Low: math.MaxInt64, High: math.MaxInt64, Grace: math.MaxInt64, Answer: math.MaxInt,
		}
	}
	l.Messages, l.Bytes = s.n(24), int64(s.n(30)*40)
	l.SourceMessages, l.SourceBytes = s.n(16), int64(s.n(20)*40)
	l.DestinationMessages, l.DestinationBytes = s.n(12), int64(s.n(16)*40)
	l.PairMessages, l.PairBytes = s.n(8), int64(s.n(12)*40)
	return l
}

var froms = []share.Source{
	share.None, share.Exempt, share.Of(netip.MustParseAddr("192.0.2.1")), share.Of(netip.MustParseAddr("192.0.2.2")), share.Of(netip.MustParseAddr("198.51.100.1")),
}

// compare has an index and the model do what the script says. It returns the first
// difference.
func compare(s *script) error {
	limits := limitsOf(s)
	x := saf.NewIndex(limits)
	m := &model{limits: limits, next: 1, stats: saf.IndexStats{Refused: map[saf.Refusal]uint64{}}, away: make(map[uint64]*modelRecord), peers: make(map[identity.NodeID]modelPeer)}
	now, wall := time.Duration(0), begin
	at := func() time.Time { return begin.Add(now) }
	var known []saf.Ref
	type unwritten struct {
		ref  saf.Ref
		gone []uint64
	}
	var writing []unwritten
	record := func() saf.Record {
		r := saf.Record{
			Hash: wire.Hash{byte(s.n(200))}, Destination: identity.NodeID{1, byte(s.n(4))}, Source: identity.NodeID{2, byte(s.n(4))},
			StoredAt: wall.Unix(), Size: s.n(100), Priority: []saf.Priority{saf.Low, saf.High}[s.n(2)],
			From: froms[s.n(len(froms))], Last: s.n(12) == 1,
		}
		if s.n(50) == 1 {
			r.Size = []int{-1, 0, 300, math.MaxInt32, math.MaxInt}[s.n(5)]
		}
		return r
	}
	x.Expire(at(), 0) // begins the index's time
	for n := s.n(40); n > 0; n-- {
		r := record()
		r.Seq, r.Sent = m.next+uint64(s.n(2)), uint8(s.n(4))
		r.StoredAt += int64([]time.Duration{0, -time.Minute, -7 * time.Hour, -80 * time.Hour, 50 * time.Hour, -wall.Sub(time.Unix(0, 0)) - time.Hour}[s.n(6)] / time.Second)
		if wrong := m.load(now, wall, r, x.Load(at(), wall, r)); wrong != "" {
			return fmt.Errorf("load %+v: %s", r, wrong)
		}
	}
	for step := 0; len(s.rest) > 0; step++ {
		var got, want any
		what := s.n(19)
		switch what {
		case 0, 1, 2, 3, 4, 5, 6:
			r := record()
			ref, gone, why := x.Add(at(), r)
			got, want = m.add(now, r, ref, gone, why), ""
			if why == 0 && got == "" {
				got, want = ref.Seq, m.next-1
				known = append(known, ref)
				writing = append(writing, unwritten{ref, gone})
			}
		case 7, 8, 9:
			id := identity.NodeID{1, byte(s.n(5))}
			q := wire.StoredRequest{Limit: []uint32{0, 0, 1, 5, 30, math.MaxUint32}[s.n(6)]}
			if s.n(3) == 1 {
				q.Since = uint64(max(0, wall.Add(time.Duration(s.n(200)-150)*time.Minute).Unix()))
			}
			bytes := []int64{math.MaxInt64, 1000, 300, 60, 0}[s.n(5)]
			items := x.Answer(at(), id, q, bytes)
			got, want = ids(items), m.answer(now, id, q, bytes)
			if s.n(2) == 0 {
				var refs []saf.Ref
				for _, i := range items {
					refs = append(refs, i.Ref)
				}
				known = append(known, refs...)
				var changed []saf.Ref
				for _, i := range slices.Backward(items) {
					if m.confirm(now, m.find(i.Seq)) {
						changed = append(changed, i.Ref)
					}
					m.stats.Confirmed++
				}
				got, want = fmt.Sprint(got, x.Confirmed(at(), refs)), fmt.Sprint(want, changed)
			}
		case 10:
			most := s.n(4)
			got, want = x.Expire(at(), most), m.expire(now, most)
		case 11:
			if len(known) == 0 {
				continue
			}
			ref := known[s.n(len(known))]
			if e := m.find(ref.Seq); e != nil && e.ref != ref { // it was taken back, to another place
				continue
			}
			got, want = x.Remove(ref), m.removed(ref.Seq)
		case 12:
			if len(known) == 0 {
				continue
			}
			ref := known[s.n(len(known))]
			e := m.find(ref.Seq)
			if e != nil && e.ref != ref {
				continue
			}
			got, want = len(x.Confirmed(at(), []saf.Ref{ref, {}})), 0
			if e != nil {
				m.stats.Confirmed++
				if m.confirm(now, e) {
					want = 1
				}
			}
		case 13:
			if s.n(8) > 0 {
				continue
			}
			id := identity.NodeID{1, byte(s.n(4))}
			list := slices.DeleteFunc(slices.Clone(m.list), func(e *modelRecord) bool { return e.Destination != id })
			slices.SortFunc(list, func(a, b *modelRecord) int { return cmp.Or(a.class-b.class, a.order-b.order) })
			var seqs []uint64
			for _, e := range list[:min(len(list), 5)] {
				seqs = append(seqs, m.remove(e))
				m.stats.Removed++
			}
			got, want = x.Purge(id, 5), seqs
		case 14:
			now += []time.Duration{0, time.Second, time.Minute, 3 * time.Minute, time.Hour, 7 * time.Hour}[s.n(6)]
		case 15: // the system's clock is set; so is, which should never happen, the other one
			wall = wall.Add([]time.Duration{time.Hour, -2 * time.Hour, 100 * time.Hour, -90 * time.Hour}[s.n(4)])
			if s.n(10) == 1 {
				now -= time.Minute
			}
		case 16, 17: // the write of some messages ends
			list := writing[:min(len(writing), 1+s.n(6))]
			writing = writing[len(list):]
			var gone []uint64
			for _, w := range list {
				gone = append(gone, w.gone...)
			}
			if s.n(2) == 0 {
				x.Settle(gone)
				for _, seq := range gone {
					delete(m.away, seq)
				}
				continue
			}
			var gotRemoved, wantRemoved []bool
			for _, w := range list {
				gotRemoved, wantRemoved = append(gotRemoved, x.Remove(w.ref)), append(wantRemoved, m.removed(w.ref.Seq))
			}
			gotDead, gotAgain := x.Restore(gone)
			wantDead, wantAgain := m.restore(gone)
			got, want = fmt.Sprint(gotRemoved, gotDead, gotAgain), fmt.Sprint(wantRemoved, wantDead, wantAgain)
			if len(writing) > 0 { // the other copies, perhaps
				writing[0].gone = append(writing[0].gone, wantAgain...)
				wantAgain = nil
			}
			x.Settle(wantAgain)
			for _, seq := range wantAgain {
				delete(m.away, seq)
			}
		case 18:
			id := identity.NodeID{1, byte(s.n(4))}
			var seqs []uint64
			for seq, e := range m.away {
				if e.Destination == id {
					seqs = append(seqs, seq)
					delete(m.away, seq)
				}
			}
			slices.Sort(seqs)
			got, want = x.Forget(id), seqs
		}
		if !reflect.DeepEqual(got, want) && !(reflect.ValueOf(got).Kind() == reflect.Slice && reflect.ValueOf(got).Len() == 0 && reflect.ValueOf(want).Len() == 0) {
			return fmt.Errorf("step %d, operation %d: got %v, want %v", step, what, got, want)
		}
		for _, e := range m.list {
			if got := x.Sent(e.ref); e.ref != (saf.Ref{Seq: e.Seq}) && got != e.Sent {
				return fmt.Errorf("step %d, operation %d: message %d was confirmed %d times, want %d", step, what, e.Seq, got, e.Sent)
			}
		}
		if got, want := x.Stats(), m.now(); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("step %d, operation %d: got\n%+v, want\n%+v", step, what, got, want)
		}
		due := time.Time{}
		if d := m.due(); d >= 0 {
			due = begin.Add(d)
		}
		if got := x.Due(); !got.Equal(due) {
			return fmt.Errorf("step %d, operation %d: next at %v, want %v", step, what, got, due)
		}
	}
	return nil
}

// TestIndexModel has an index and a model of it, which looks at every record, do the same
// thousands of times at random: limits of several kinds at once, equal hashes, ages,
// steps of the clocks, no limits and no room. There are 150 rounds, and 400 with GAMELAN_LONG.
func TestIndexModel(t *testing.T) {
	seeds := uint64(150)
	if os.Getenv("GAMELAN_LONG") != "" {
		seeds = 400
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 17))
		b := make([]byte, 6000)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if err := compare(&script{b}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// FuzzIndex is the same, with choices of the fuzzer.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{5, 0, 20, 20, 10, 10, 8, 8, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 1, 1, 50, 1, 0, 14, 5, 10, 3, 7, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<12 {
			return
		}
		if err := compare(&script{b}); err != nil {
			t.Error(err)
		}
	})
}
