package upkeep

import "time"

// rates limit how much is begun in a minute.
type rates struct{ refresh, publish rate }

// rate remembers the last times, oldest first.
type rate struct {
	times [publishMax]time.Time
	n     int
}

// free returns when one more may begin, if at most max do in a minute. max is at most the
// length of the memory.
func (r rate) free(now time.Time, max int) time.Time {
	if r.n < max {
		return now
	}
	return r.times[r.n-max].Add(time.Minute)
}

func (r *rate) take(now time.Time) {
	if r.n == len(r.times) {
		copy(r.times[:], r.times[1:])
		r.n--
	}
	r.times[r.n] = now
	r.n++
}
