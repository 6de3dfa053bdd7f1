package overlay

import "time"

// RTT is a smoothed round-trip time, as TCP keeps it (RFC 6298). The zero value has no
// measurement yet.
//
// spec: kad B6.1
type RTT struct {
	Smoothed  time.Duration // 0: not measured
	Variation time.Duration
}

// Observe takes in a measurement. Measurements of requests that were sent more than once
// must not be given to it: an answer does not tell which copy it answers.
func (r *RTT) Observe(d time.Duration) {
	d = max(d, 1)
	if r.Smoothed == 0 {
		r.Smoothed, r.Variation = d, d/2
		return
	}
	r.Variation += ((r.Smoothed - d).Abs() - r.Variation) / 4
	r.Smoothed = max(r.Smoothed+(d-r.Smoothed)/8, 1)
}
