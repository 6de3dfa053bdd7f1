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

// backlogLook is how often handlers are checked while messages wait for them.
const backlogLook = time.Second

// Fate is the decision about a message for the application.
type Fate uint8

const (
	FateGive Fate = iota + 1 // to the handler, now
	FateWait                 // until the handler has finished others
	FateDrop                 // the handler is stuck and holds enough
)

// Backlog divides a peer's credit among the types of its messages, so that one slow
// or stuck handler does not hold all of it and stop the peer's other messages (spec:
// V13). A type gets half of the credit that the peer's other types leave. Further
// messages of the type wait here in order and keep their credit; they are dropped
// once the handler is stuck. M is the caller's type of a message.
//
// Messages to be relayed count as one more type of the peer that they come from:
// copies under way hold half of the credit that the types leave, and further messages
// wait here. A target's pace may keep every copy of a peer from ending for
// [StuckAfter]. Then waiting messages may keep half of the credit that is left, and
// the others are dropped, so that the peer's messages for us go on.
type Backlog[M any] struct {
	credit  int64
	freed   func(Holder)
	types   map[int32]*progress
	peers   map[identity.NodeID]*atomic.Int64 // bytes that handlers and relayed copies hold
	queues  map[Holder]*queue[M]
	parked  []*queue[M] // queues with waiting messages, in the order in which they began to wait
	swept   int         // how many queues the last sweep left
	waiting int
}

// Work counts the messages that a type's handler was given and has finished, from
// all peers and all backlogs. Its zero value is ready for use.
type Work struct{ given, finished atomic.Uint64 }

// Holding returns how many messages the handler has not finished.
func (w *Work) Holding() uint64 {
	finished := w.finished.Load() // before given, which may grow meanwhile
	return w.given.Load() - finished
}

// Holder names one holder of a peer's credit: the handler of a type, or the relayed
// copies.
type Holder struct {
	Peer   identity.NodeID
	Kind   int32 // 0 with Relays
	Relays bool
}

// Held is the credit that one [Holder] holds.
type Held struct {
	by    Holder
	work  *Work
	bytes atomic.Int64
	sum   *atomic.Int64 // of all holders of the peer
	asked atomic.Bool   // messages wait for these
	freed func(Holder)
}

// Finish gives back the credit of a message that the handler has finished or will
// never get. It may be called from any goroutine.
func (h *Held) Finish(cost int64) {
	h.sum.Add(-cost)
	h.bytes.Add(-cost)
	h.work.finished.Add(1)
	if h.asked.Load() && h.asked.CompareAndSwap(true, false) {
		h.freed(h.by)
	}
}

// fits reports whether the handler may be given one more message of that cost. A
// message larger than a type's share passes alone, unless the handler is stuck.
func (h *Held) fits(credit, cost int64, stuck bool) bool {
	own := h.bytes.Load()
	others := max(0, h.sum.Load()-own)
	return own+cost <= (credit-others)/2 || own == 0 && !stuck
}

// progress records when a handler was last seen to have finished a message.
type progress struct {
	work     *Work
	finished uint64
	idle     bool // the handler held nothing when it was last checked
	since    time.Time
}

// give counts a message that the handler is given.
func (p *progress) give(h *Held, cost int64) {
	p.idle = false
	h.work.given.Add(1)
	h.bytes.Add(cost)
	h.sum.Add(cost)
}

// look records the handler's progress since the last call and reports whether the
// handler is stuck.
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
	relays *progress // of relayed copies; nil in the queue of a type
	wait   []waiting[M]
	bytes  int64 // of the waiting messages
}

type waiting[M any] struct {
	m    M
	cost int64
}

// Released is a message that no longer waits.
type Released[M any] struct {
	Message M
	Fate    Fate  // FateGive or FateDrop
	Held    *Held // with FateGive
}

// NewBacklog returns an empty backlog. Credit is each peer's credit in bytes. Freed
// is called, by the caller of Held.Finish, when a handler has finished a message
// while others wait for it: freed must not block, and must have [Backlog.Resume]
// called.
func NewBacklog[M any](credit int64, freed func(Holder)) *Backlog[M] {
	return &Backlog[M]{
		credit: credit, freed: freed, types: make(map[int32]*progress),
		peers: make(map[identity.NodeID]*atomic.Int64), queues: make(map[Holder]*queue[M]),
	}
}

// Add decides on a message of the peer for the handler of a type. Work is the
// handler's, cost the message's credit in bytes. After [FateGive] the caller calls
// Held.Finish when the handler has finished the message; after [FateWait] the backlog
// keeps it.
func (b *Backlog[M]) Add(now time.Time, peer identity.NodeID, kind int32, work *Work, cost int64, m M) (Fate, *Held) {
	p := b.progress(now, kind, work)
	return b.add(now, p, b.queue(Holder{Peer: peer, Kind: kind}, work), cost, m)
}

// AddRelay decides on a message of the peer that is to be relayed. After [FateGive]
// the caller calls Held.Finish when every copy of the message has ended.
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
			q.held.asked.Store(true) // and check again: the handler may have finished one in between
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

// room returns how many bytes may go on waiting when the holder is stuck: none for a
// handler, and half of the credit that is left for relayed copies.
func (b *Backlog[M]) room(q *queue[M]) int64 {
	if q.relays == nil {
		return 0
	}
	return max(0, b.credit-q.held.sum.Load()) / 2
}

// Resume returns the messages that fit now that the holder has finished another one.
func (b *Backlog[M]) Resume(now time.Time, by Holder) []Released[M] {
	q, ok := b.queues[by]
	if !ok || len(q.wait) == 0 {
		return nil
	}
	out := b.serve(now, q, nil)
	b.unpark()
	return out
}

// Look returns the messages that fit now, and those to be dropped because their
// handler is stuck.
func (b *Backlog[M]) Look(now time.Time) []Released[M] {
	var out []Released[M]
	for _, q := range b.parked {
		out = b.serve(now, q, out)
	}
	b.unpark()
	return out
}

// Next returns when Look is to be called, and false if no message waits.
func (b *Backlog[M]) Next(now time.Time) (time.Time, bool) {
	return now.Add(backlogLook), b.waiting > 0
}

// Waiting returns how many messages wait, and how many of them are to be relayed.
func (b *Backlog[M]) Waiting() (all, relays int) {
	for _, q := range b.parked {
		if q.relays != nil {
			relays += len(q.wait)
		}
	}
	return b.waiting, relays
}

// Len returns how many pairs of a peer and a type the backlog remembers.
func (b *Backlog[M]) Len() int { return len(b.queues) }

// Clear returns all waiting messages, to be dropped.
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

// serve gives the messages that fit, and drops the others if the handler is stuck.
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
				continue // check again: the handler may have finished one in between
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

// drop drops the newest messages until the others take no more than room bytes.
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

// unpark removes the queues without waiting messages from parked.
func (b *Backlog[M]) unpark() {
	b.parked = slices.DeleteFunc(b.parked, func(q *queue[M]) bool { return len(q.wait) == 0 })
}

// progress returns the progress of a type's handler. It begins a new one when the
// type has another handler than before.
func (b *Backlog[M]) progress(now time.Time, kind int32, work *Work) *progress {
	p, ok := b.types[kind]
	if !ok || p.work != work {
		p = &progress{work: work, finished: work.finished.Load(), since: now}
		b.types[kind] = p
	}
	return p
}

// queue returns the holder's queue. When the type has a new handler, waiting
// messages wait for that one.
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

// sweep forgets, now and then, the peers without held or waiting messages.
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
