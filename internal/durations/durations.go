// Package durations counts durations by their length.
package durations

import (
	"slices"
	"sync/atomic"
	"time"
)

// Bounds are the longest of each count of a [Counts], in seconds.
var Bounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Counts counts durations by Bounds. All its methods may be called from any goroutine.
type Counts struct {
	counts [17]atomic.Uint64 // one more than Bounds
	sum    atomic.Uint64     // nanoseconds
}

// Add counts one.
func (c *Counts) Add(took time.Duration) {
	i, _ := slices.BinarySearch(Bounds, took.Seconds())
	c.counts[i].Add(1)
	c.sum.Add(uint64(max(0, took)))
}

// Read returns the counts, and the sum in seconds.
func (c *Counts) Read() (counts []uint64, sum float64) {
	for i := range c.counts {
		counts = append(counts, c.counts[i].Load())
	}
	return counts, time.Duration(c.sum.Load()).Seconds()
}
