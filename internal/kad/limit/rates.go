package limit

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// NativeRates returns the limits of a gateway whose peers are authenticated (spec: kad
// B10.1).
func NativeRates() overlay.Rates {
	return overlay.Rates{
		Requests: overlay.Rate{PerSecond: 50, Burst: 200},
		Unproven: overlay.Rate{PerSecond: 50, Burst: 200},
		Stores:   overlay.Rate{PerSecond: 10, Burst: 100},
		Group:    overlay.Rate{PerSecond: 200, Burst: 1000},
		Total:    overlay.Rate{PerSecond: 5000, Burst: 10_000},
		Out:      overlay.Rate{PerSecond: 1 << 20, Burst: 1 << 20},
		Penalty:  10 * time.Minute,
		Entries:  65_536,
	}
}

// SeedRates returns the limits of a gateway of the overlay Seed. A node of that network
// sends about 50 requests a second after each change of its table, so that a proven
// address may send more at once.
func SeedRates() overlay.Rates {
	r := NativeRates()
	r.Requests, r.Unproven = overlay.Rate{PerSecond: 60, Burst: 600}, overlay.Rate{PerSecond: 10, Burst: 20}
	return r
}

// bucket holds what a source may still do at the time at. The zero value is full.
type bucket struct {
	used float64
	at   time.Time
}

// wait returns how long it takes until n units are there: 0 if they are there now, and
// never less than that for a clock that stands still. Units above the burst are there when
// the bucket is full.
func (b *bucket) wait(r overlay.Rate, n float64, now time.Time) time.Duration {
	if r.Burst <= 0 {
		return 0
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.used = max(0, b.used-passed*r.PerSecond)
		b.at = now
	}
	lacking := b.used + min(n, r.Burst) - r.Burst
	switch {
	case lacking <= 0:
		return 0
	case r.PerSecond <= 0:
		return never
	}
	return time.Duration(lacking/r.PerSecond*float64(time.Second)).Truncate(time.Millisecond) + time.Millisecond
}

// never is the wait for a rate that only has a burst.
const never = 24 * time.Hour

func (b *bucket) take(n float64) { b.used += n }
