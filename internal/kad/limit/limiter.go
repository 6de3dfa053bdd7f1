package limit

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Source is a sender of requests.
type Source struct {
	// ID names it: its public key, or in the overlay Seed its address.
	ID string
	// Group is the group of its IP address ([kad.Address.Group]). It is "" for a source
	// without a limit of groups: a private address where these are allowed, and a
	// connection that came in through Tor, all of which have one address.
	Group string
	// Unproven says that the address may be somebody else's. It has limits of its own, so
	// that who invents addresses does not use up the requests of their owners: a lower rate,
	// and only half of what its group, and all sources together, may do at once.
	Unproven bool
}

// Reason says which limit refuses a request.
type Reason string

// The reasons, in the order in which they are looked at.
const (
	Allowed   Reason = ""
	Punished  Reason = "penalty"
	Crowded   Reason = "penalties" // as many sources are ignored as can be remembered
	TotalRate Reason = "total"
	GroupRate Reason = "group"
	Requests  Reason = "requests"
	Stores    Reason = "stores"
)

// Limiter counts the requests of one gateway. Get one from [NewLimiter].
type Limiter struct {
	rates   overlay.Rates
	total   bucket
	sources *lru.Map[string, source] // authenticated, or with a proven address
	// others are groups, and addresses without proof. Whoever invents addresses fills them,
	// and them alone.
	others   *lru.Map[name, source]
	punished *lru.Map[string, time.Time] // until when
	panics   *lru.Map[string, panics]
	refused  map[Reason]uint64
}

// name is that of a group, or of an address without proof.
type name struct {
	isGroup bool
	id      string
}

type source struct{ requests, stores, out bucket }

// NewLimiter returns a limiter that has seen nobody.
func NewLimiter(r overlay.Rates) *Limiter {
	return &Limiter{
		rates: r, sources: lru.New[string, source](r.Entries / 2), others: lru.New[name, source](r.Entries / 2), punished: lru.New[string, time.Time](r.Entries),
		panics:  lru.New[string, panics](maxPanicking),
		refused: map[Reason]uint64{},
	}
}

// Request reports whether a request of the source is to be answered, and counts it if so.
// If not, it says why, and after what time the source may ask again.
func (l *Limiter) Request(s Source, isStore bool, now time.Time) (why Reason, retryAfter time.Duration) {
	why, retryAfter = l.request(s, isStore, now)
	if why != Allowed {
		l.refused[why]++
	}
	return why, retryAfter
}

func (l *Limiter) request(s Source, isStore bool, now time.Time) (Reason, time.Duration) {
	if left := l.penalty(s.ID, now); left > 0 {
		return Punished, left
	}
	if wait := l.total.wait(l.rates.Total, s.needs(l.rates.Total), now); wait > 0 {
		return TotalRate, wait
	}
	var all *source
	if s.Group != "" {
		all = l.others.Use(name{true, s.Group})
		if wait := all.requests.wait(l.rates.Group, s.needs(l.rates.Group), now); wait > 0 {
			return GroupRate, wait
		}
	}
	own, rate := l.source(s)
	if wait := own.requests.wait(rate, 1, now); wait > 0 {
		return Requests, wait
	}
	if isStore {
		if wait := own.stores.wait(l.rates.Stores, 1, now); wait > 0 {
			return Stores, wait
		}
		own.stores.take(1)
	}
	l.total.take(1)
	own.requests.take(1)
	if all != nil {
		all.requests.take(1)
	}
	return Allowed, 0
}

// source returns what is known of a source, and its rate of requests.
func (l *Limiter) source(s Source) (*source, overlay.Rate) {
	if s.Unproven {
		return l.others.Use(name{false, s.ID}), l.rates.Unproven
	}
	return l.sources.Use(s.ID), l.rates.Requests
}

// needs returns how many requests must be left of what others share before one of this
// source is allowed.
func (s Source) needs(r overlay.Rate) float64 {
	if s.Unproven {
		return 1 + r.Burst/2
	}
	return 1
}

// Answer reports whether n bytes may be sent to the source in an answer, and counts them
// if so.
func (l *Limiter) Answer(s Source, n int, now time.Time) bool {
	own, _ := l.source(s)
	if own.out.wait(l.rates.Out, float64(n), now) > 0 {
		return false
	}
	own.out.take(float64(n))
	return true
}

// Punish ignores a source from now on, for the time of the penalty. It reports whether
// there was room to remember that; if not, the source has its usual limits. Where the
// address of a source can be invented, punish it only for what its owner did: for an
// answer with an id that was sent there.
func (l *Limiter) Punish(id string, now time.Time) bool { return l.punish(id, l.rates.Penalty, now) }

func (l *Limiter) punish(id string, penalty time.Duration, now time.Time) bool {
	left := l.penalty(id, now)
	if left == 0 && l.punished.Len() >= l.rates.Entries {
		l.refused[Crowded]++
		return false
	}
	*l.punished.Use(id) = now.Add(max(left, penalty))
	return true
}

// Panics of this node on messages of one source (spec: kad B13).
const (
	PanicsAllowed = 2           // in PanicWindow; the next one is punished
	PanicWindow   = time.Minute // also the penalty
	maxPanicking  = 1024        // sources that are remembered
)

// panics are the times of the last panics of a source.
type panics [PanicsAllowed]time.Time

// Panicked notes that this node panicked on a message of a source. The third time within a
// minute the source is ignored for a minute, also if its address may be invented: the node
// comes first.
func (l *Limiter) Panicked(id string, now time.Time) {
	p := l.panics.Use(id)
	first := p[0]
	copy(p[:], p[1:])
	p[len(p)-1] = now
	if !first.IsZero() && now.Sub(first) < PanicWindow {
		l.punish(id, PanicWindow, now)
	}
}

// Ignored reports whether the source is being ignored.
func (l *Limiter) Ignored(id string, now time.Time) bool { return l.penalty(id, now) > 0 }

// penalty returns how long the source will be ignored; 0: it is not.
func (l *Limiter) penalty(id string, now time.Time) time.Duration {
	l.forgive(now)
	until := l.punished.Get(id)
	if until == nil {
		return 0
	}
	if left := until.Sub(now); left > 0 {
		return left
	}
	l.punished.Delete(id)
	return 0
}

// forgive ends the penalties that are over, as far as they are the oldest. A shorter one that
// was given later is found to be over when its source comes again.
func (l *Limiter) forgive(now time.Time) {
	for {
		id, until, ok := l.punished.Oldest()
		if !ok || now.Before(*until) {
			return
		}
		l.punished.Delete(id)
	}
}

// Remembered returns how many sources and groups the limiter remembers, and how many
// sources it ignores.
func (l *Limiter) Remembered() (sources, punished int) {
	return l.sources.Len() + l.others.Len(), l.punished.Len()
}

// Refused returns how many requests were refused for a reason. For [Crowded] it is how
// many penalties found no room.
func (l *Limiter) Refused(r Reason) uint64 { return l.refused[r] }
