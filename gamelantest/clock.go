package gamelantest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Clock is the ordinary runtime of a node with a system clock that a test can
// step, in a [Bubble] and outside of one. It is the node's own: other nodes and
// the package time go on as before.
//
//	alice.Clock.Step(-24 * time.Hour) // somebody sets alice's clock back by a day
type Clock struct {
	supervisor.Runtime
	ahead atomic.Int64 // nanoseconds
}

// NewClock returns a clock that shows what the package time does. A test in a
// bubble makes it there. A node gets it with [gamelan.WithRuntime]; one that
// [Network.Start] starts has one already.
func NewClock() *Clock { return &Clock{Runtime: supervisor.Real()} }

// Wall is the system's clock with all steps.
func (c *Clock) Wall() time.Time { return c.Runtime.Wall().Add(time.Duration(c.ahead.Load())) }

// Step sets the system's clock forward by d, or back if d is negative. What
// measures durations does not notice.
func (c *Clock) Step(d time.Duration) { c.ahead.Add(int64(d)) }

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
