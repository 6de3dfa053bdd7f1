package harness

import (
	"slices"
	"time"
)

// Spread is how a figure lay over the rounds.
type Spread struct {
	Min, Median, Max float64
}

// spread summarises values; ok is false when there are none.
func spread(values []float64) (s Spread, ok bool) {
	if len(values) == 0 {
		return Spread{}, false
	}
	v := slices.Sorted(slices.Values(values))
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + mid) / 2
	}
	return Spread{Min: v[0], Median: mid, Max: v[len(v)-1]}, true
}

// percentiles gives the 50th and the 99th of all in nanoseconds, by nearest
// rank. It sorts all.
func percentiles(all []time.Duration) (p50, p99 float64) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	rank := func(percent int) float64 {
		i := (len(all)*percent+99)/100 - 1
		return float64(all[max(i, 0)].Nanoseconds())
	}
	return rank(50), rank(99)
}
