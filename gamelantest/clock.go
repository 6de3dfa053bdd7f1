package gamelantest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Clock is the ordinary runtime of a node, with a system clock that a test can step, in
// a [Bubble] and outside of one. It belongs to one node: a step affects neither other
// nodes nor package time.
//
//	alice.Clock.Step(-24 * time.Hour) // somebody sets alice's clock back by a day
type Clock struct {
	supervisor.Runtime
	ahead atomic.Int64 // nanoseconds
	slept atomic.Int64 // nanoseconds
}

// NewClock returns a clock with the time of package time. A test in a bubble must call it
// there. Give it to a node with [gamelan.WithRuntime]; a node of [Network.Start] already
// has one.
func NewClock() *Clock { return &Clock{Runtime: supervisor.Real()} }

// Wall returns the time of the system's clock, plus all steps.
func (c *Clock) Wall() time.Time { return c.Runtime.Wall().Add(time.Duration(c.ahead.Load())) }

// Step sets the system's clock forward by d, or back if d is negative. Measured
// durations do not change.
func (c *Clock) Step(d time.Duration) { c.ahead.Add(int64(d)) }

// Suspend has the machine of the node sleep for d, as a laptop that is closed: the system's clock goes on, and
// measured durations do not have that time. Peers notice nothing of it, unless the test cuts them off.
func (c *Clock) Suspend(d time.Duration) {
	c.slept.Add(int64(d))
	c.ahead.Add(int64(d))
}

// Slept implements [supervisor.Sleeper].
func (c *Clock) Slept() time.Duration { return time.Duration(c.slept.Load()) }

// ClockSteps runs f in two subtests, each in a [Bubble]: for a system's clock that
// is set forward by a day, and for one that is set back by a day. f gives by to
// [Clock.Step].
func ClockSteps(t *testing.T, f func(t *testing.T, by time.Duration)) {
	t.Helper()
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			Bubble(t, func(t *testing.T) { f(t, by) })
		})
	}
}
