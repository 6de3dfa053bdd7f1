package connpool

import (
	"net/netip"
	"slices"
	"time"
)

// maxRated is how many sources a rates remembers, at about 100 bytes each. Beyond it,
// rates forgets the sources whose accounts are full again soonest.
const maxRated = 4096

// rate allows burst events at once, and one more each time that every has passed.
type rate struct {
	burst int
	every time.Duration
}

// take takes one event from an account that is full again at the time full. It returns
// the account's new time and how long to wait, or false if the wait exceeds most.
func (r rate) take(now, full time.Time, most time.Duration) (next time.Time, wait time.Duration, ok bool) {
	if full.Before(now) {
		full = now
	}
	next = full.Add(r.every)
	wait = max(0, next.Sub(now)-time.Duration(r.burst)*r.every)
	if wait > most {
		return full, most, false
	}
	return next, wait, true
}

// rates maps each source to the time at which its account is full again. The zero
// value is ready to use.
type rates map[netip.Prefix]time.Time

// take takes one event from the account of a source, as [rate.take] does.
func (a *rates) take(now time.Time, source netip.Prefix, r rate, most time.Duration) (wait time.Duration, ok bool) {
	next, wait, ok := r.take(now, (*a)[source], most)
	if !ok {
		return wait, false
	}
	if *a == nil {
		*a = make(rates)
	}
	if _, known := (*a)[source]; !known && len(*a) >= maxRated {
		a.forget(now)
	}
	(*a)[source] = next
	return wait, true
}

// giveBack returns one event to the account of a source.
func (a rates) giveBack(source netip.Prefix, r rate) {
	if full, ok := a[source]; ok {
		a[source] = full.Add(-r.every)
	}
}

// has reports whether take would succeed now without a wait.
func (a rates) has(now time.Time, source netip.Prefix, r rate) bool {
	_, _, ok := r.take(now, a[source], 0)
	return ok
}

// forget drops the sources whose accounts are full. If there are none, it drops the
// eighth of all sources whose accounts are full again soonest.
func (a *rates) forget(now time.Time) {
	left := make([]netip.Prefix, 0, len(*a))
	for source, full := range *a {
		if full.After(now) {
			left = append(left, source)
		} else {
			delete(*a, source)
		}
	}
	if len(left) < maxRated {
		return
	}
	slices.SortFunc(left, func(x, y netip.Prefix) int {
		if c := (*a)[x].Compare((*a)[y]); c != 0 {
			return c
		}
		return x.Compare(y)
	})
	for _, source := range left[:maxRated/8] {
		delete(*a, source)
	}
}
