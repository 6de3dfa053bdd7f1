package upkeep

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Numbers of entering the network.
//
// spec: kad B5
const (
	persistedMax    = 30   // contacts of an earlier run that are probed at an attempt
	persistedKept   = 1024 // that wait to be probed
	persistedAtOnce = 8    // that are probed each minute, when the node is ready
	bootAtOnce      = 8    // probes at a time
	bootEnough      = 3    // answers
	againFirst      = time.Second
	againMax        = time.Minute
	// probeLimit is when a probe is given up whose end was never reported.
	probeLimit = 30 * time.Second
	// lookupLimit is when a lookup is given up whose end was never reported.
	lookupLimit = 2 * time.Minute
)

// bootstrap enters the network.
type bootstrap struct {
	persisted []overlay.Contact // of an earlier run, neither reached nor tried in vain so far
	addresses []overlay.Address

	queue           []overlay.Contact // to be probed
	probes          []probe           // under way
	asked, answered int
	looking         bool            // it goes on with the lookup of the own id
	pause           time.Duration   // before the next attempt
	again           time.Time       // the next attempt
	asker           overlay.Contact // it has asked meanwhile, and is tried next
}

// probe is a probe under way.
type probe struct {
	contact overlay.Contact
	until   time.Time
}

// same reports whether two contacts are the same, by id, or by address where there is none.
func same(a, b overlay.Contact) bool {
	if a.ID.IsZero() || b.ID.IsZero() {
		return len(a.Addresses) > 0 && len(b.Addresses) > 0 && a.ID == b.ID && a.Addresses[0] == b.Addresses[0]
	}
	return a.ID == b.ID
}

// enter begins to probe all that are known, beside an asker that is being probed.
func (m *Machine) enter(now time.Time) {
	b := &m.boot
	b.again = time.Time{}
	if len(b.probes) == 0 {
		b.asked, b.answered = 0, 0
	}
	add := func(c overlay.Contact) {
		if (c.ID.IsZero() || c.ID != m.self) && len(c.Addresses) > 0 && !b.tries(c) {
			b.queue = append(b.queue, c)
		}
	}
	some := slices.Clone(b.persisted)
	m.o.Rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	for _, c := range some[:min(len(some), persistedMax)] {
		add(c)
	}
	for i := range m.former.list {
		add(m.former.list[i].Contact)
	}
	if m.o.Listed != nil {
		for _, c := range m.o.Listed() {
			add(c)
		}
	}
	for _, a := range b.addresses {
		add(overlay.Contact{Addresses: []overlay.Address{a}})
	}
	if len(b.queue)+len(b.probes) == 0 {
		m.isolate(now)
		return
	}
	m.set(overlay.Bootstrapping)
}

// tries reports whether the contact is probed, or will be.
func (b *bootstrap) tries(c overlay.Contact) bool {
	return slices.ContainsFunc(b.queue, func(x overlay.Contact) bool { return same(x, c) }) ||
		slices.ContainsFunc(b.probes, func(x probe) bool { return same(x.contact, c) })
}

// asked takes a node that has asked something for a way into the network: at once, or when
// the attempt under way has failed. The next attempt is not put off by it.
func (m *Machine) asked(c overlay.Contact) {
	if c.ID == m.self || len(c.Addresses) == 0 {
		return
	}
	switch m.state {
	case overlay.Isolated:
		m.try(c)
	case overlay.Bootstrapping:
		m.boot.asker = c
	}
}

// try probes one contact.
func (m *Machine) try(c overlay.Contact) {
	b := &m.boot
	b.queue, b.probes, b.asked, b.answered, b.looking = []overlay.Contact{c}, nil, 0, 0, false
	b.asker = overlay.Contact{}
	m.set(overlay.Bootstrapping)
}

// isolate tries who has asked meanwhile, or waits before the next attempt.
func (m *Machine) isolate(now time.Time) {
	b := &m.boot
	if !b.again.After(now) {
		b.pause = min(max(2*b.pause, againFirst), againMax)
		b.again = now.Add(m.around(b.pause, 5))
	}
	if len(b.asker.Addresses) > 0 {
		m.try(b.asker)
		return
	}
	b.queue, b.probes, b.looking = nil, nil, false
	m.set(overlay.Isolated)
}

// probed takes in the end of a probe, whatever it was for.
func (m *Machine) probed(now time.Time, e Probed) {
	b := &m.boot
	if at := slices.IndexFunc(b.probes, func(p probe) bool { return same(p.contact, e.Contact) }); at >= 0 {
		b.probes = slices.Delete(b.probes, at, at+1)
		if e.Answered {
			b.answered++
		}
		if m.state == overlay.Bootstrapping && !b.looking {
			m.do(Changed{overlay.Bootstrapping, b.answered, b.asked})
		}
	}
	if e.Answered || m.state == overlay.Ready { // before that, the failure may be this node's
		b.judged(e.Contact)
	}
	m.former.probed(now, e)
}

// judged ends the wait of a contact of an earlier run: it is in the table, or does not answer.
func (b *bootstrap) judged(c overlay.Contact) {
	b.persisted = slices.DeleteFunc(b.persisted, func(x overlay.Contact) bool { return same(x, c) })
}

// Persisted returns the contacts of an earlier run of which it is not known yet whether they
// can be reached. They are to be persisted as well.
func (m *Machine) Persisted() []overlay.Contact { return slices.Clone(m.boot.persisted) }

// bootstrap goes on with entering the network.
func (m *Machine) bootstrap(now time.Time) {
	b := &m.boot
	switch {
	case m.state == overlay.Ready && m.live == 0:
		b.pause = 0
		m.isolate(now)
	case m.state == overlay.Isolated && m.live > 0: // somebody has found this node
		b.queue, b.probes, b.again = nil, nil, time.Time{}
		m.set(overlay.Bootstrapping)
	case m.state != overlay.Ready && !b.again.IsZero() && !b.again.After(now):
		m.enter(now)
	}
	if m.state != overlay.Bootstrapping || b.looking {
		return
	}
	b.probes = slices.DeleteFunc(b.probes, func(p probe) bool { return !p.until.After(now) })
	for len(b.queue) > 0 && len(b.probes) < bootAtOnce && b.answered < bootEnough {
		c := b.queue[0]
		b.queue = b.queue[1:]
		b.asked++
		b.probes = append(b.probes, probe{c, now.Add(probeLimit)})
		m.do(Probe{c, ForBootstrap})
	}
	switch {
	case b.answered >= bootEnough, len(b.probes) == 0 && (b.answered > 0 || m.live > 0):
		b.looking, b.probes, b.again = true, nil, time.Time{}
		m.fresh.self = now
	case len(b.probes) == 0:
		if m.isolate(now); m.state == overlay.Bootstrapping {
			m.bootstrap(now)
		}
	}
}

// entered ends the first lookup of the own id.
func (m *Machine) entered(now time.Time, found int) {
	if found == 0 && m.live == 0 {
		m.isolate(now)
		return
	}
	m.boot.looking, m.boot.pause, m.boot.asker = false, 0, overlay.Contact{}
	m.set(overlay.Ready)
	if !m.joined {
		m.joined = true
		m.do(Joined{})
	}
}

func (b *bootstrap) next() time.Time {
	next := b.again
	for _, p := range b.probes {
		if next.IsZero() || p.until.Before(next) {
			next = p.until
		}
	}
	return next
}
