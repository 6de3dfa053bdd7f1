package dial

import (
	"math/rand/v2"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

// Options configure a Scheduler. A zero field stands for its default, which is named
// after the semicolon.
type Options struct {
	Attempts int           // dials for a wish without Attempts; 1
	Retry    Backoff       // before attempt 2 and later; 500 ms to 10 s
	Busy     Backoff       // after Class Busy, jittered; 1 s to 2 min
	Adopt    time.Duration // how long a finished dial may stay unannounced; 10 s
	InFlight int           // automatic attempts at once; 8
	Rate     int           // automatic attempts begun within any one second; 20
	Queue    int           // automatic wishes that may wait for their turn; 1,024

	// Random chooses the wait after Class Busy between a half and the whole of it.
	// With nil there is no jitter.
	Random *rand.Rand
}

func (o Options) withDefaults() Options {
	def(&o.Attempts, 1)
	def(&o.Retry.Initial, 500*time.Millisecond)
	def(&o.Retry.Ceiling, 10*time.Second)
	def(&o.Busy.Initial, time.Second)
	def(&o.Busy.Ceiling, 2*time.Minute)
	def(&o.Adopt, 10*time.Second)
	def(&o.InFlight, 8)
	def(&o.Rate, 20)
	def(&o.Queue, 1024)
	return o
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Backoff is a wait that doubles with every failure.
type Backoff struct{ Initial, Ceiling time.Duration }

// after returns the time to wait after failure n, counted from 1.
func (b Backoff) after(n int) time.Duration {
	return backoff.Doubled(n, b.Initial, b.Ceiling)
}

// jittered returns a time between half of d and d.
func jittered(r *rand.Rand, d time.Duration) time.Duration {
	if r == nil || d < 2 {
		return d
	}
	return d - time.Duration(r.Int64N(int64(d/2)+1))
}
