package durations

import (
	"slices"
	"testing"
	"time"
)

// TestCounts: a duration is counted at the first bound that is not less.
func TestCounts(t *testing.T) {
	var c Counts
	for _, d := range []time.Duration{-time.Second, 0, 500 * time.Microsecond, 501 * time.Microsecond, time.Minute, time.Hour} {
		c.Add(d)
	}
	counts, sum := c.Read()
	want := make([]uint64, len(Bounds)+1)
	want[0], want[1], want[15], want[16] = 3, 1, 1, 1
	if !slices.Equal(counts, want) || sum < 3660 || sum > 3660.1 {
		t.Errorf("got %d, sum %v, want %d and somewhat more than 3660", counts, sum, want)
	}
}
