// Package backoff says how long to wait after failures.
package backoff

import "time"

// Doubled returns the pause after the n-th failure in a row: first, twice as long after each
// further one, and at most most. An n below 1 counts as 1.
func Doubled(n int, first, most time.Duration) time.Duration {
	d := min(first, most)
	for ; n > 1 && 0 < d && d < most; n-- {
		d = min(d, most-d) + d // twice d, without an overflow
	}
	return d
}
