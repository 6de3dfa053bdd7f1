package upkeep

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Options configure a Machine. A zero number stands for its default, named after the
// semicolon.
type Options struct {
	Overlay overlay.Overlay
	IDLen   int // bytes of an id; 32
	// Publish is how often own records are published again; 12 h, in the overlay Seed
	// 50 min.
	Publish time.Duration
	// View returns the routing table. It must be set.
	View func() *overlay.View
	// Listed, if set, returns peers of this node that serve the DHT. It is asked again at each
	// attempt to enter the network.
	Listed func() []overlay.Contact
	// Rand chooses whom to probe, and spreads work in time. It must be set.
	Rand *rand.Rand
}

// Machine decides. It is not safe for concurrent use.
type Machine struct {
	o    Options
	self overlay.ID

	state   overlay.State
	started bool
	joined  bool
	live    int

	boot   bootstrap
	fresh  refresh
	former former
	life   halfLife
	held   schedule
	own    schedule
	rates  rates

	churn time.Duration // the last Churn
	wake  time.Time
	out   []Effect
}

// New returns a machine for the node self.
func New(self overlay.ID, o Options) *Machine {
	o.IDLen = cmp.Or(o.IDLen, overlay.IDLen)
	if o.Publish == 0 {
		o.Publish = 12 * time.Hour
		if o.Overlay == overlay.Seed {
			o.Publish = 50 * time.Minute
		}
	}
	m := &Machine{o: o, self: self, held: newSchedule(), own: newSchedule()}
	if o.Overlay == overlay.Seed { // elsewhere records live for days
		m.own.pace = time.Minute / publishMax
	}
	return m
}

// State returns what the node is doing about the network.
func (m *Machine) State() overlay.State { return m.state }

// HalfLife returns how long half of the contacts live; 0: unknown.
func (m *Machine) HalfLife() time.Duration { return m.life.value() }

// Records returns how many records of others, and of this node, are stored again.
func (m *Machine) Records() (held, own int) { return m.held.len(), m.own.len() }

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	clear(m.out)
	m.out = m.out[:0]
	m.life.advance(now, m.live)
	switch e := e.(type) {
	case Start:
		m.start(now, e)
	case Added:
		m.live++
		m.fresh.gained()
		m.former.forget(e.Contact.ID)
		m.boot.judged(e.Contact)
	case Asked:
		m.asked(e.Contact)
	case Removed:
		m.removed(now, e)
	case Probed:
		m.probed(now, e)
	case LookedUp:
		m.lookedUp(now, e)
	case Held:
		if x := m.held.items[e.Key]; x == nil || !x.running { // Replicated plans it
			m.hold(now, e.Key, m.held.set)
		}
	case Dropped:
		m.held.remove(e.Key)
	case Replicated:
		m.hold(now, e.Key, m.held.ended)
	case Own:
		m.own.set(e.Key, e.Due)
	case Forgotten:
		m.own.remove(e.Key)
	case Published:
		m.published(now, e)
	case Due:
		m.wake = time.Time{}
	}
	if m.started {
		m.proceed(now)
		m.askWake(now)
	}
	return m.out
}

func (m *Machine) do(e Effect) { m.out = append(m.out, e) }

// around returns a random time from d less its part to d more its part.
func (m *Machine) around(d time.Duration, part int64) time.Duration {
	spread := int64(d) / part
	if spread <= 0 {
		return d
	}
	return d - time.Duration(spread) + time.Duration(m.o.Rand.Int64N(2*spread+1))
}

func (m *Machine) start(now time.Time, e Start) {
	if m.started {
		return
	}
	m.started, m.joined = true, e.Joined
	m.live = m.o.View().Len()
	m.life.begin(now)
	m.former.begin(now, e.Former)
	m.former.addresses = e.Bootstrap
	m.boot.persisted, m.boot.addresses = slices.Clone(e.Persisted[:min(len(e.Persisted), persistedKept)]), e.Bootstrap
	switch {
	case m.live == 0:
		m.enter(now)
	case e.Joined:
		m.set(overlay.Ready)
		m.fresh.self = now
	default: // the lookup of the own id had not ended
		m.set(overlay.Bootstrapping)
		m.boot.looking, m.fresh.self = true, now
	}
}

func (m *Machine) removed(now time.Time, e Removed) {
	m.live = max(m.live-1, 0)
	if e.Banned {
		return
	}
	m.life.lost()
	m.fresh.lost(now)
	if e.Lived >= formerAfter || m.live == 0 { // the last one is a way back
		m.former.add(now, e.Contact)
	}
}

func (m *Machine) set(s overlay.State) {
	if m.state != s {
		m.state = s
		m.do(Changed{State: s})
	}
}

// proceed does what the time has come for.
func (m *Machine) proceed(now time.Time) {
	if h := m.life.value(); changedMuch(m.churn, h) {
		m.held.hasten(ReplicateEvery(h))
		m.churn = h
		m.do(Churn{h})
	}
	m.bootstrap(now)
	m.refresh(now)
	m.revisit(now)
	m.replicate(now)
	m.publish(now)
}

// changedMuch reports whether the half-life is worth telling: it is known for the first
// time, not known any more, or has changed by a tenth.
func changedMuch(was, is time.Duration) bool {
	return (was == 0) != (is == 0) || (was-is).Abs() > was/10
}

// askWake asks for a Due when there is something to do next.
func (m *Machine) askWake(now time.Time) {
	var next time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	sooner(m.boot.next())
	sooner(m.fresh.next(m.state, m.rates.refresh, m.factor(), now))
	sooner(m.former.next(m.state == overlay.Ready && len(m.boot.persisted) > 0))
	if m.mayReplicate() {
		sooner(m.held.next())
	}
	if m.mayPublish() {
		at := m.own.next()
		if free := m.rates.publish.free(now, publishMax); !at.IsZero() && free.After(at) {
			at = free
		}
		sooner(at)
	}
	if !next.Equal(m.wake) {
		m.wake = next
		if !next.IsZero() {
			m.do(Wake{next})
		}
	}
}
