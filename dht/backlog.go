package dht

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// StuckAfter is how long a handler may hold messages and finish none before it
// counts as stuck (spec: V13).
const StuckAfter = 10 * time.Second

// backlogLook is how often a handler is looked at that messages wait for.
const backlogLook = time.Second

// Fate is what becomes of a message for the application.
type Fate uint8

const (
	FateGive Fate = iota + 1 // to the handler, now
	FateWait                 // until the handler has finished others
	FateDrop                 // the handler is stuck and holds enough
)

// Backlog keeps a handler that is slow or stuck from holding all of a peer's
// credit, for with it the peer's other messages would stop (spec: V13). Of one
// peer's credit a type is given half of what the peer's other types leave. What
// comes beyond waits here, in order, with its credit; once the type is stuck it
// is dropped. M is what a message is to the caller.
//
// Messages for others are treated like one more type, for each peer that they
// come from: copies under way hold half of what the types leave, the excess waits
// here. When nothing of that peer has ended for [StuckAfter], because the pace of
// a target holds it up, half of what is left then may go on waiting and the rest
// is dropped: what the peer sends for us goes on.
type Backlog[M any] struct {
	credit  int64
	freed   func(Holder)
	types   map[int32]*progress
	peers   map[identity.NodeID]*atomic.Int64 // bytes that handlers and copies for others hold
	queues  map[Holder]*queue[M]
	parked  []*queue[M] // those with waiting messages, the one that began first in front
	swept   int         // queues that were left by the last sweep
	waiting int
}

// Work is what all messages of one type have in common, wherever they are given
// to its handler. Its zero value is ready for use.
type Work struct{ given, finished atomic.Uint64 }

// Holding returns how many messages the handler has not finished.
func (w *Work) Holding() uint64 {
	finished := w.finished.Load() // first: never more than were given
	return w.given.Load() - finished
}

// Holder says who holds messages of a peer: the handler of a type, or copies for
// others.
type Holder struct {
	Peer   identity.NodeID
	Kind   int32 // 0 with Relays
	Relays bool
}

// Held is what a [Holder] holds.
type Held struct {
	by    Holder
	work  *Work
	bytes atomic.Int64
	sum   *atomic.Int64 // of all holders of the peer
	asked atomic.Bool   // messages wait for these
	freed func(Holder)
}

// Finish says that the handler has finished a message of that cost, or that it
// will never get it. It may be called from any goroutine.
func (h *Held) Finish(cost int64) {
	h.sum.Add(-cost)
	h.bytes.Add(-cost)
	h.work.finished.Add(1)
	if h.asked.Load() && h.asked.CompareAndSwap(true, false) {
		h.freed(h.by)
	}
}

// fits reports whether one more message of that cost may be given. One that is
// larger than all a type may hold passes alone, unless the handler is stuck.
func (h *Held) fits(credit, cost int64, stuck bool) bool {
	own := h.bytes.Load()
	others := max(0, h.sum.Load()-own)
	return own+cost <= (credit-others)/2 || own == 0 && !stuck
}

// progress is when a handler has last finished a message, as far as was seen.
type progress struct {
	work     *Work
	finished uint64
	idle     bool // nothing was held then
	since    time.Time
}

// give notes that a message is given to the handler.
func (p *progress) give(h *Held, cost int64) {
	p.idle = false
	h.work.given.Add(1)
	h.bytes.Add(cost)
	h.sum.Add(cost)
}

// look notes what the handler has done since it was last looked at, and reports
// whether it is stuck.
func (p *progress) look(now time.Time) (stuck bool) {
	finished := p.work.finished.Load()
	idle := p.work.given.Load() == finished
	if idle || p.idle || finished != p.finished {
		p.since = now
	}
	p.finished, p.idle = finished, idle
	return now.Sub(p.since) >= StuckAfter
}

// queue is the messages of one holder.
type queue[M any] struct {
	held   *Held
	relays *progress // of copies for others: their own
	wait   []waiting[M]
	bytes  int64 // of those that wait
}

type waiting[M any] struct {
	m    M
	cost int64
}

// Released is a message that waits no longer.
type Released[M any] struct {
	Message M
	Fate    Fate  // FateGive or FateDrop
	Held    *Held // with FateGive
}

// NewBacklog returns an empty one for peers that have that much credit each, in
// bytes. When messages wait and the handler has finished another one, freed is
// called by whoever called Held.Finish: it must not block, and see to it that
// [Backlog.Resume] is called.
func NewBacklog[M any](credit int64, freed func(Holder)) *Backlog[M] {
	return &Backlog[M]{
		credit: credit, freed: freed, types: make(map[int32]*progress),
		peers: make(map[identity.NodeID]*atomic.Int64), queues: make(map[Holder]*queue[M]),
	}
}

// Add says what becomes of a message of the peer, of so many bytes of credit, for
// the handler whose work that is. With [FateGive], Held.Finish is called once the
// handler has finished it; with [FateWait] it is kept.
func (b *Backlog[M]) Add(now time.Time, peer identity.NodeID, kind int32, work *Work, cost int64, m M) (Fate, *Held) {
	p := b.progress(now, kind, work)
	return b.add(now, p, b.queue(Holder{Peer: peer, Kind: kind}, work), cost, m)
}

// AddRelay says what becomes of a message of the peer for somebody else. With
// [FateGive], Held.Finish is called once every copy of it has ended.
func (b *Backlog[M]) AddRelay(now time.Time, peer identity.NodeID, cost int64, m M) (Fate, *Held) {
	by := Holder{Peer: peer, Relays: true}
	var work *Work
	if q, ok := b.queues[by]; ok {
		work = q.held.work
	} else {
		work = new(Work)
	}
	q := b.queue(by, work)
	if q.relays == nil {
		q.relays = &progress{work: work, since: now}
	}
	return b.add(now, q.relays, q, cost, m)
}

func (b *Backlog[M]) add(now time.Time, p *progress, q *queue[M], cost int64, m M) (Fate, *Held) {
	stuck := p.look(now)
	if len(q.wait) == 0 {
		fits := q.held.fits(b.credit, cost, stuck)
		if !fits && (!stuck || q.relays != nil) {
			q.held.asked.Store(true) // and look again: it may have finished one in between
			fits = q.held.fits(b.credit, cost, stuck)
		}
		if fits {
			p.give(q.held, cost)
			return FateGive, q.held
		}
	}
	if stuck && q.bytes+cost > b.room(q) {
		return FateDrop, nil
	}
	if len(q.wait) == 0 {
		b.parked = append(b.parked, q)
	}
	q.wait = append(q.wait, waiting[M]{m, cost})
	q.bytes += cost
	b.waiting++
	return FateWait, nil
}

// room is how much may go on waiting when its holder is stuck: nothing for a
// handler, for others half of what is left.
func (b *Backlog[M]) room(q *queue[M]) int64 {
	if q.relays == nil {
		return 0
	}
	return max(0, b.credit-q.held.sum.Load()) / 2
}

// Resume returns what need not wait any longer since the holder has finished
// another message.
func (b *Backlog[M]) Resume(now time.Time, by Holder) []Released[M] {
	q, ok := b.queues[by]
	if !ok || len(q.wait) == 0 {
		return nil
	}
	out := b.serve(now, q, nil)
	b.unpark()
	return out
}

// Look returns what need not wait any longer, and what is to be dropped because
// its handler is stuck.
func (b *Backlog[M]) Look(now time.Time) []Released[M] {
	var out []Released[M]
	for _, q := range b.parked {
		out = b.serve(now, q, out)
	}
	b.unpark()
	return out
}

// Next returns when Look has to be called, and false when nothing waits.
func (b *Backlog[M]) Next(now time.Time) (time.Time, bool) {
	return now.Add(backlogLook), b.waiting > 0
}

// Waiting returns how many messages wait, and how many of them are for others.
func (b *Backlog[M]) Waiting() (all, relays int) {
	for _, q := range b.parked {
		if q.relays != nil {
			relays += len(q.wait)
		}
	}
	return b.waiting, relays
}

// Len returns of how many peers, for each type, something is remembered.
func (b *Backlog[M]) Len() int { return len(b.queues) }

// Clear returns all that waits, to be dropped.
func (b *Backlog[M]) Clear() []Released[M] {
	var out []Released[M]
	for _, q := range b.parked {
		out = b.drop(q, 0, out)
	}
	b.unpark()
	return out
}

// Stuck lists the types whose handlers are stuck, lowest first.
func (b *Backlog[M]) Stuck(now time.Time) (list []int32) {
	for kind, p := range b.types {
		if p.look(now) {
			list = append(list, kind)
		}
	}
	slices.Sort(list)
	return list
}

// serve gives what fits, and drops the rest if its handler is stuck.
func (b *Backlog[M]) serve(now time.Time, q *queue[M], out []Released[M]) []Released[M] {
	p := q.relays
	if p == nil {
		p = b.types[q.held.by.Kind]
	}
	stuck := p.look(now)
	for len(q.wait) > 0 {
		w := q.wait[0]
		if !q.held.fits(b.credit, w.cost, stuck) {
			if stuck && q.relays == nil {
				return b.drop(q, 0, out)
			}
			if !q.held.asked.Swap(true) {
				continue // look again: it may have finished one in between
			}
			if stuck {
				return b.drop(q, b.room(q), out)
			}
			return out
		}
		p.give(q.held, w.cost)
		out = append(out, Released[M]{w.m, FateGive, q.held})
		q.pop()
		b.waiting--
	}
	return out
}

// drop drops what came last, until the others need no more than room.
func (b *Backlog[M]) drop(q *queue[M], room int64, out []Released[M]) []Released[M] {
	n := len(q.wait)
	for ; n > 0 && q.bytes > room; n-- {
		q.bytes -= q.wait[n-1].cost
	}
	for i, w := range q.wait[n:] {
		out = append(out, Released[M]{Message: w.m, Fate: FateDrop})
		q.wait[n+i] = waiting[M]{}
		b.waiting--
	}
	if q.wait = q.wait[:n]; n == 0 {
		q.wait = nil
	}
	return out
}

func (q *queue[M]) pop() {
	q.bytes -= q.wait[0].cost
	q.wait[0] = waiting[M]{}
	if q.wait = q.wait[1:]; len(q.wait) == 0 {
		q.wait = nil
	}
}

// unpark forgets the queues in which nothing waits any more.
func (b *Backlog[M]) unpark() {
	b.parked = slices.DeleteFunc(b.parked, func(q *queue[M]) bool { return len(q.wait) == 0 })
}

// progress returns the state of a type's handler, a new one when that is another
// handler than before.
func (b *Backlog[M]) progress(now time.Time, kind int32, work *Work) *progress {
	p, ok := b.types[kind]
	if !ok || p.work != work {
		p = &progress{work: work, finished: work.finished.Load(), since: now}
		b.types[kind] = p
	}
	return p
}

// queue returns the queue of a type and peer. What waits goes on to wait for a
// new handler.
func (b *Backlog[M]) queue(by Holder, work *Work) *queue[M] {
	q, ok := b.queues[by]
	if ok && q.held.work == work {
		return q
	}
	if !ok {
		b.sweep()
		q = &queue[M]{}
		b.queues[by] = q
	}
	sum, known := b.peers[by.Peer]
	if !known {
		sum = new(atomic.Int64)
		b.peers[by.Peer] = sum
	}
	q.held = &Held{by: by, work: work, sum: sum, freed: b.freed}
	return q
}

// sweep forgets, now and then, the peers of which nothing is held or waits.
func (b *Backlog[M]) sweep() {
	if len(b.queues) < 2*b.swept+64 {
		return
	}
	held := make(map[identity.NodeID]bool, len(b.peers))
	for k, q := range b.queues {
		if len(q.wait) > 0 || b.peers[k.Peer].Load() != 0 {
			held[k.Peer] = true
		}
	}
	for k := range b.queues {
		if !held[k.Peer] {
			delete(b.queues, k)
			delete(b.peers, k.Peer)
		}
	}
	b.swept = len(b.queues)
}
