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
type Backlog[M any] struct {
	credit  int64
	freed   func(peer identity.NodeID, kind int32)
	types   map[int32]*progress
	peers   map[identity.NodeID]*atomic.Int64 // bytes that handlers hold
	queues  map[queueKey]*queue[M]
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

// Held is what the handler of a type holds of one peer.
type Held struct {
	peer  identity.NodeID
	kind  int32
	work  *Work
	bytes atomic.Int64
	sum   *atomic.Int64 // of all types of the peer
	asked atomic.Bool   // messages wait for these
	freed func(peer identity.NodeID, kind int32)
}

// Finish says that the handler has finished a message of that cost, or that it
// will never get it. It may be called from any goroutine.
func (h *Held) Finish(cost int64) {
	h.sum.Add(-cost)
	h.bytes.Add(-cost)
	h.work.finished.Add(1)
	if h.asked.Load() && h.asked.CompareAndSwap(true, false) {
		h.freed(h.peer, h.kind)
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

type queueKey struct {
	peer identity.NodeID
	kind int32
}

// queue is the messages of one type and peer.
type queue[M any] struct {
	held *Held
	wait []waiting[M]
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
func NewBacklog[M any](credit int64, freed func(peer identity.NodeID, kind int32)) *Backlog[M] {
	return &Backlog[M]{
		credit: credit, freed: freed, types: make(map[int32]*progress),
		peers: make(map[identity.NodeID]*atomic.Int64), queues: make(map[queueKey]*queue[M]),
	}
}

// Add says what becomes of a message of the peer, of so many bytes of credit, for
// the handler whose work that is. With [FateGive], Held.Finish is called once the
// handler has finished it; with [FateWait] it is kept.
func (b *Backlog[M]) Add(now time.Time, peer identity.NodeID, kind int32, work *Work, cost int64, m M) (Fate, *Held) {
	p := b.progress(now, kind, work)
	stuck := p.look(now)
	q := b.queue(peer, kind, work)
	if len(q.wait) == 0 {
		fits := q.held.fits(b.credit, cost, stuck)
		if !fits && !stuck {
			q.held.asked.Store(true) // and look again: it may have finished one in between
			fits = q.held.fits(b.credit, cost, stuck)
		}
		if fits {
			p.give(q.held, cost)
			return FateGive, q.held
		}
	}
	if stuck {
		return FateDrop, nil
	}
	if len(q.wait) == 0 {
		b.parked = append(b.parked, q)
	}
	q.wait = append(q.wait, waiting[M]{m, cost})
	b.waiting++
	return FateWait, nil
}

// Resume returns what need not wait any longer since the handler has finished
// another message of the type and peer.
func (b *Backlog[M]) Resume(now time.Time, peer identity.NodeID, kind int32) []Released[M] {
	q, ok := b.queues[queueKey{peer, kind}]
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

// Waiting returns how many messages wait.
func (b *Backlog[M]) Waiting() int { return b.waiting }

// Len returns of how many peers, for each type, something is remembered.
func (b *Backlog[M]) Len() int { return len(b.queues) }

// Clear returns all that waits, to be dropped.
func (b *Backlog[M]) Clear() []Released[M] {
	var out []Released[M]
	for _, q := range b.parked {
		out = b.drop(q, out)
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
	p := b.types[q.held.kind]
	stuck := p.look(now)
	for len(q.wait) > 0 {
		w := q.wait[0]
		if !q.held.fits(b.credit, w.cost, stuck) {
			if stuck {
				return b.drop(q, out)
			}
			if q.held.asked.Swap(true) {
				return out
			}
			continue // look again: it may have finished one in between
		}
		p.give(q.held, w.cost)
		out = append(out, Released[M]{w.m, FateGive, q.held})
		q.pop()
		b.waiting--
	}
	return out
}

func (b *Backlog[M]) drop(q *queue[M], out []Released[M]) []Released[M] {
	for _, w := range q.wait {
		out = append(out, Released[M]{Message: w.m, Fate: FateDrop})
	}
	b.waiting -= len(q.wait)
	q.wait = nil
	return out
}

func (q *queue[M]) pop() {
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
func (b *Backlog[M]) queue(peer identity.NodeID, kind int32, work *Work) *queue[M] {
	k := queueKey{peer, kind}
	q, ok := b.queues[k]
	if ok && q.held.work == work {
		return q
	}
	if !ok {
		b.sweep()
		q = &queue[M]{}
		b.queues[k] = q
	}
	sum, known := b.peers[peer]
	if !known {
		sum = new(atomic.Int64)
		b.peers[peer] = sum
	}
	q.held = &Held{peer: peer, kind: kind, work: work, sum: sum, freed: b.freed}
	return q
}

// sweep forgets, now and then, the peers of which nothing is held or waits.
func (b *Backlog[M]) sweep() {
	if len(b.queues) < 2*b.swept+64 {
		return
	}
	held := make(map[identity.NodeID]bool, len(b.peers))
	for k, q := range b.queues {
		if len(q.wait) > 0 || b.peers[k.peer].Load() != 0 {
			held[k.peer] = true
		}
	}
	for k := range b.queues {
		if !held[k.peer] {
			delete(b.queues, k)
			delete(b.peers, k.peer)
		}
	}
	b.swept = len(b.queues)
}
