package limit

import "time"

// Rate allows PerSecond units a second on average, and Burst at once.
type Rate struct {
	PerSecond, Burst float64
}

// Rates are the limits of one gateway. A rate whose Burst is 0 is no limit.
type Rates struct {
	Requests Rate // of a source
	Unproven Rate // … whose address is not proven
	Stores   Rate // STOREs of a source, which count as requests as well
	Group    Rate // requests of all sources in one group of IP addresses
	Total    Rate // requests of all sources
	Out      Rate // bytes that are sent to a source in answers

	Penalty time.Duration // how long a source is ignored
	Entries int           // how many sources and groups are remembered
}

// NativeRates returns the limits of a gateway whose peers are authenticated (spec: kad
// B10.1).
func NativeRates() Rates {
	return Rates{
		Requests: Rate{50, 200},
		Unproven: Rate{50, 200},
		Stores:   Rate{10, 100},
		Group:    Rate{200, 1000},
		Total:    Rate{5000, 10_000},
		Out:      Rate{1 << 20, 1 << 20},
		Penalty:  10 * time.Minute,
		Entries:  65_536,
	}
}

// SeedRates returns the limits of a gateway of the overlay Seed. A node of that network
// sends about 50 requests a second after each change of its table, so that a proven
// address may send more at once.
func SeedRates() Rates {
	r := NativeRates()
	r.Requests, r.Unproven = Rate{60, 600}, Rate{10, 20}
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
func (b *bucket) wait(r Rate, n float64, now time.Time) time.Duration {
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
