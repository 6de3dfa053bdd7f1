package supervisor

import (
	crand "crypto/rand"
	"io"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Runtime is where time, chance and goroutines come from. Real is the world; a
// Seeded runs whole trees on the goroutine that calls Run.
type Runtime interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func())
	Random(path string, incarnation uint64) *Random
	Dispatcher() actor.Dispatcher
	Task(long bool, run func() (deliver func())) // long: Go, refused by Seeded; else Do
}

// Random is chance in both shapes that pure code takes.
type Random struct {
	*rand.Rand
	io.Reader
}

// Real is the world: the system's clock, timers, goroutines and randomness.
// Inside a testing/synctest bubble these are the bubble's.
func Real() Runtime { return realTime{} }

type realTime struct{}

func (realTime) Now() time.Time { return time.Now() }

func (realTime) AfterFunc(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

func (realTime) Random(string, uint64) *Random { return worldRandom }

func (realTime) Dispatcher() actor.Dispatcher { return goroutines{} }

func (realTime) Task(long bool, run func() (deliver func())) {
	go func() {
		if !long {
			grow(0)
		}
		if deliver := run(); deliver != nil {
			deliver()
		}
	}()
}

// worldRandom has no state of its own, so all actors share it.
var worldRandom = &Random{rand.New(worldSource{}), crand.Reader}

type worldSource struct{}

func (worldSource) Uint64() uint64 { return rand.Uint64() }

// goroutines runs every activation of a mailbox on a goroutine of its own.
type goroutines struct{}

func (goroutines) Schedule(fn func()) { go fn() }

// Throughput is the number of messages after which an actor lets others run.
func (goroutines) Throughput() int { return 256 }
