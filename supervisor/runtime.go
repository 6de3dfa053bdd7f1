package supervisor

import (
	crand "crypto/rand"
	"io"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Runtime provides time, randomness and goroutines to a tree. Real uses those of
// the system; a Seeded runs whole trees on the goroutine that calls Run.
//
// A Runtime has two clocks. Now is for measuring: durations, deadlines, rates, the
// age of values in memory. It never steps, and neither does a value derived from
// one of its times, such as the seconds since 1970. Wall is the system's clock,
// which an operator or a time service may set forward or back at any moment. It
// is for times that leave the process, on the wire or on the disk, and for times
// that people read. The two may differ by any amount: never compare a time of one
// with a time of the other. [OnWall] converts.
type Runtime interface {
	Now() time.Time
	Wall() time.Time
	AfterFunc(d time.Duration, f func()) (stop func())
	Random(path string, incarnation uint64) *Random
	Dispatcher() actor.Dispatcher
	Task(long bool, run func() (deliver func())) // long: Go, refused by Seeded; else Do
}

// Random provides randomness in the two forms that pure code takes: numbers and
// bytes.
type Random struct {
	*rand.Rand
	io.Reader
}

// Real returns a Runtime with the system's clock, timers, goroutines and
// randomness. Inside a testing/synctest bubble these are the bubble's.
func Real() Runtime { return realTime{time.Now()} }

// Sleeper is a Runtime that says itself how long the machine has slept, such as a laptop that was closed. Now leaves that
// time out. A node asks the system if its Runtime is none.
type Sleeper interface {
	// Slept returns how long since some moment of the past, which does not change. The difference of two calls is the
	// sleep between them.
	Slept() time.Duration
}

// realTime holds the reading of both clocks at its start.
type realTime struct{ start time.Time }

// Now returns the start plus the monotonic time since then. Its times keep their
// monotonic reading, so they can be deadlines of connections. Unlike those of
// time.Now, their date and time of day never step.
func (r realTime) Now() time.Time { return r.start.Add(time.Since(r.start)) }

// Wall returns a time without monotonic reading, so that two of its times compare
// in the same way after they were written to the disk and read back.
func (realTime) Wall() time.Time { return time.Now().Round(0) }

// OnWall converts t, a time of r's Now, into a time of r's Wall, by the present
// difference of the two clocks. The zero time stays zero.
func OnWall(r Runtime, t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return r.Wall().Add(t.Sub(r.Now()))
}

func (realTime) AfterFunc(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

func (realTime) Random(string, uint64) *Random { return worldRandom }

func (realTime) Dispatcher() actor.Dispatcher { return goroutines{} }

func (realTime) Task(_ bool, run func() (deliver func())) {
	go func() {
		if deliver := run(); deliver != nil {
			deliver()
		}
	}()
}

// worldRandom has no state of its own, so all actors share it.
var worldRandom = &Random{rand.New(worldSource{}), crand.Reader}

type worldSource struct{}

func (worldSource) Uint64() uint64 { return rand.Uint64() }

// goroutines runs every activation of a mailbox on a goroutine of its own. It is for a
// Runtime that wraps Real; a tree with Real itself has a [pool].
type goroutines struct{}

func (goroutines) Schedule(fn func()) { go fn() }

// Throughput returns the number of messages after which an actor yields to others.
func (goroutines) Throughput() int { return throughput }
