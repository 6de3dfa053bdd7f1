package supervisor

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Seeded is a Runtime for simulations: whole trees run on the goroutine that
// calls Run, with a virtual clock. Random numbers derived from the seed decide
// which of the actors with messages runs next, and how long a Do takes. So one seed
// gives one history. Go panics, because a separate goroutine would run outside
// that order.
//
// Make all calls from one goroutine, including Start, Root.Stop and the sends from
// outside the tree.
type Seeded struct{ seeded }

// NewSeeded returns a runtime whose clock begins at begin.
func NewSeeded(seed uint64, begin time.Time) *Seeded {
	s := &Seeded{seeded{seed: seed, now: begin}}
	s.random = rand.New(s.source("", 0))
	return s
}

// Run works until nothing is left to do or the clock has reached until. It
// returns the number of activations, each of which delivers one message.
func (s *Seeded) Run(until time.Time) (activations int) {
	n := s.loop(until, func() bool { return false })
	if s.now.Before(until) {
		s.now = until
	}
	return n
}

// The methods of Runtime.

// Now returns the virtual time.
func (s *Seeded) Now() time.Time { return s.now }

// Wall returns the virtual time plus all steps of StepWall.
func (s *Seeded) Wall() time.Time { return s.now.Add(s.ahead) }

// StepWall sets Wall forward by d, or back if d is negative, as an operator sets
// the system's clock. It does not affect Now.
func (s *Seeded) StepWall(d time.Duration) { s.ahead += d }

// AfterFunc calls f when Run reaches that time. Calls due at the same time keep
// their order.
func (s *Seeded) AfterFunc(d time.Duration, f func()) (stop func()) {
	s.events++
	e := &event{at: s.now.Add(max(d, 0)), seq: s.events, f: f}
	heap.Push(&s.timers, e)
	return func() { e.f = nil }
}

// Random returns randomness derived from the seed, the path and the incarnation.
func (s *Seeded) Random(path string, incarnation uint64) *Random {
	return &Random{rand.New(s.source(path, incarnation)), s.source("bytes of "+path, incarnation)}
}

// Dispatcher returns a dispatcher that collects the actors with messages for Run.
func (s *Seeded) Dispatcher() actor.Dispatcher { return queue{s} }

// Task runs a Do on the goroutine of Run after a random delay of up to a
// millisecond, and delivers its result after another such delay. It panics for a Go.
func (s *Seeded) Task(long bool, run func() (deliver func())) {
	if long {
		panic("supervisor: Go under a Seeded runtime; replace the actor by one that speaks in messages")
	}
	s.AfterFunc(s.delay(), func() {
		if deliver := run(); deliver != nil {
			s.AfterFunc(s.delay(), deliver)
		}
	})
}

type seeded struct {
	seed     uint64
	now      time.Time
	ahead    time.Duration // of Wall before now
	random   *rand.Rand
	runnable []func()
	timers   timerHeap
	events   uint64
}

func (s *seeded) source(path string, incarnation uint64) *rand.ChaCha8 {
	b := binary.BigEndian.AppendUint64(nil, s.seed)
	b = binary.BigEndian.AppendUint64(b, incarnation)
	return rand.NewChaCha8(sha256.Sum256(append(b, path...)))
}

func (s *seeded) delay() time.Duration {
	return time.Duration(s.random.Int64N(int64(time.Millisecond)))
}

// loop runs activations and timers until the clock would pass until, nothing
// is left or enough says so.
func (s *seeded) loop(until time.Time, enough func() bool) (activations int) {
	for !enough() {
		if n := len(s.runnable); n > 0 {
			i := s.random.IntN(n)
			f := s.runnable[i]
			s.runnable[i] = s.runnable[n-1]
			s.runnable[n-1] = nil
			s.runnable = s.runnable[:n-1]
			f()
			activations++
			continue
		}
		if len(s.timers) == 0 || s.timers[0].at.After(until) {
			break
		}
		e := heap.Pop(&s.timers).(*event)
		if e.f != nil {
			s.now = e.at
			e.f()
		}
	}
	return activations
}

// settle runs, with the clock standing still, until c is closed or nothing is left.
func (s *seeded) settle(c <-chan struct{}) { s.loop(s.now, func() bool { return isClosed(c) }) }

// settleBefore runs until c is closed, at most for d.
func (s *seeded) settleBefore(c <-chan struct{}, d time.Duration) {
	s.loop(s.now.Add(d), func() bool { return isClosed(c) })
}

// settleSome runs everything that can run before the clock has to advance.
func (s *seeded) settleSome() { s.loop(s.now, func() bool { return false }) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// queue is the dispatcher. An activation delivers one message, so that the actor
// that runs next is chosen anew after each.
type queue struct{ s *Seeded }

func (q queue) Schedule(fn func()) { q.s.runnable = append(q.s.runnable, fn) }

func (q queue) Throughput() int { return 1 }

type event struct {
	at  time.Time
	seq uint64
	f   func()
}

type timerHeap []*event

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}

func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *timerHeap) Push(x any) { *h = append(*h, x.(*event)) }

func (h *timerHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
