package connpool

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// OffencesWithin is the time in which offences of one source are counted, and the
	// time for which a source with too many is refused.
	OffencesWithin = 10 * time.Minute
	// OffenceLimit is the default number of offences after which a source is refused.
	// Many honest nodes may be behind one address.
	OffenceLimit = 100
	// maxOffenders is the greatest number of remembered sources, at about 100 bytes
	// each. Above it, the source whose last offence is oldest is forgotten, or among
	// refused ones that whose time ends first.
	maxOffenders = 4096
)

// Offenders counts offences by source, since the owner of an address can make any number of
// keys. It is not safe for concurrent use; now must be of a clock that never goes back. The
// zero value is ready to use.
//
// spec: V 8, 31.
type Offenders struct {
	Limit int // offences of a source within OffencesWithin; 0: 100
	by    map[netip.Prefix]*offender
}

type offender struct {
	n     int
	since time.Time // time of the first of n
	last  time.Time
	until time.Time // refused until then
}

// Refused is a source that is refused.
type Refused struct {
	Source netip.Prefix
	Until  time.Time
}

// Offence counts an offence of a source. It reports whether the source has reached the limit
// and is refused from now on, for OffencesWithin. It does not count offences without a
// source, from exempt connections.
func (o *Offenders) Offence(now time.Time, source netip.Prefix) (refused bool) {
	if !source.IsValid() {
		return false
	}
	x := o.get(now, source)
	if now.Sub(x.since) >= OffencesWithin {
		x.n, x.since = 0, now
	}
	x.n++
	x.last = now
	limit := o.Limit
	if limit <= 0 {
		limit = OffenceLimit
	}
	if x.n < limit {
		return false
	}
	x.n, x.since = 0, now
	return o.refuse(x, now, OffencesWithin)
}

// Refuse makes a source refused for that long. It reports whether the source was not refused
// before.
func (o *Offenders) Refuse(now time.Time, source netip.Prefix, long time.Duration) (fresh bool) {
	if !source.IsValid() || long <= 0 {
		return false
	}
	x := o.get(now, source)
	x.last = now
	return o.refuse(x, now, long)
}

func (o *Offenders) refuse(x *offender, now time.Time, long time.Duration) (fresh bool) {
	fresh = !x.until.After(now)
	if until := now.Add(long); until.After(x.until) {
		x.until = until
	}
	return fresh
}

// Until returns when the source is accepted again, zero if it is not refused.
func (o *Offenders) Until(now time.Time, source netip.Prefix) (until time.Time) {
	if x := o.by[source]; x != nil && x.until.After(now) {
		return x.until
	}
	return time.Time{}
}

// All returns the refused sources; those with the latest end come first.
func (o *Offenders) All(now time.Time) (all []Refused) {
	for source, x := range o.by {
		if x.until.After(now) {
			all = append(all, Refused{source, x.until})
		}
	}
	slices.SortFunc(all, func(a, b Refused) int {
		if c := b.Until.Compare(a.Until); c != 0 {
			return c
		}
		return a.Source.Compare(b.Source)
	})
	return all
}

// get returns the entry of a source, a new one if there was none.
func (o *Offenders) get(now time.Time, source netip.Prefix) *offender {
	if x := o.by[source]; x != nil {
		return x
	}
	if o.by == nil {
		o.by = make(map[netip.Prefix]*offender)
	}
	if len(o.by) >= maxOffenders {
		o.forget(now)
	}
	x := &offender{since: now, last: now}
	o.by[source] = x
	return x
}

// forget removes sources that have no offence within OffencesWithin and are not refused. If
// there are none, it removes an eighth of all.
func (o *Offenders) forget(now time.Time) {
	all := make([]netip.Prefix, 0, len(o.by))
	for source, x := range o.by {
		if now.Sub(x.last) >= OffencesWithin && !x.until.After(now) {
			delete(o.by, source)
		} else {
			all = append(all, source)
		}
	}
	if len(o.by) < maxOffenders {
		return
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		x, y := o.by[a], o.by[b]
		if c := x.until.Compare(y.until); c != 0 {
			return c
		}
		if c := x.last.Compare(y.last); c != 0 {
			return c
		}
		return a.Compare(b)
	})
	for _, source := range all[:maxOffenders/8] {
		delete(o.by, source)
	}
}
