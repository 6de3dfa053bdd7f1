package keepalive

import "time"

// Mark identifies a write that waits for proof, by its asker and a number. The numbers
// of one asker grow.
type Mark[K comparable] struct {
	Key K
	N   uint64
}

// Effects are the actions after an event. The zero Effects asks for nothing.
type Effects[K comparable] struct {
	Ping   bool      // send a ping now; call Ponged when it is answered
	Proven []Mark[K] // the peer's multiplexer has read these writes; valid until the next call
	Wake   time.Time // call Due at this time; zero: an earlier Wake still stands
}

type asked[K comparable] struct {
	Mark[K]
	notBefore time.Time
}

// Machine decides about the pings of one connection. It is not safe for
// concurrent use.
type Machine[K comparable] struct {
	interval time.Duration
	heard    time.Time // last sign of life
	inFlight bool
	covered  []Mark[K]  // marks that the ping in flight proves
	waiting  []asked[K] // marks that the next ping proves, one for each asker
	wake     time.Time  // the earliest Wake that has not come
	proven   []Mark[K]
}

// New returns the machine of a connection that is pinged after interval of silence; 0
// means that silence causes no ping. It starts with the first event, which may be a
// Due.
func New[K comparable](now time.Time, interval time.Duration) *Machine[K] {
	return &Machine[K]{interval: interval, heard: now}
}

// Prove asks for proof of a mark by a ping that is sent at notBefore or later. It
// replaces a mark of the same asker whose ping was not sent yet: a proof of the newer
// mark proves the older.
func (m *Machine[K]) Prove(now time.Time, mark Mark[K], notBefore time.Time) Effects[K] {
	if notBefore.Before(now) {
		notBefore = now // also for the zero time
	}
	for i := range m.waiting {
		if m.waiting[i].Key == mark.Key {
			m.waiting[i] = asked[K]{mark, notBefore}
			return m.next(now)
		}
	}
	m.waiting = append(m.waiting, asked[K]{mark, notBefore})
	return m.next(now)
}

// Heard notes a sign of life of the peer. It may be called late, for instance
// just before Due.
func (m *Machine[K]) Heard(at time.Time) {
	if at.After(m.heard) {
		m.heard = at
	}
}

// Ponged reports the answer to the ping in flight. Without a ping in flight it changes
// nothing.
func (m *Machine[K]) Ponged(now time.Time) Effects[K] {
	if !m.inFlight {
		return m.next(now)
	}
	m.inFlight = false
	m.Heard(now)
	m.covered, m.proven = m.proven[:0], m.covered
	f := m.next(now)
	f.Proven = m.proven
	return f
}

// Due reports that the time of a Wake has come. It may be called at any other time.
func (m *Machine[K]) Due(now time.Time) Effects[K] {
	if !now.Before(m.wake) {
		m.wake = time.Time{}
	}
	return m.next(now)
}

// next sends a ping when one is due, and otherwise asks for a Wake.
func (m *Machine[K]) next(now time.Time) Effects[K] {
	if m.inFlight {
		return Effects[K]{}
	}
	at := m.nextPing()
	switch {
	case at.IsZero():
		return Effects[K]{}
	case at.After(now) && !m.wake.IsZero() && !at.Before(m.wake):
		return Effects[K]{}
	case at.After(now):
		m.wake = at
		return Effects[K]{Wake: at}
	}
	m.send(now)
	return Effects[K]{Ping: true}
}

// nextPing returns when the next ping is due; zero means never.
func (m *Machine[K]) nextPing() time.Time {
	var at time.Time
	if m.interval > 0 {
		at = m.heard.Add(m.interval)
	}
	for _, a := range m.waiting {
		if at.IsZero() || a.notBefore.Before(at) {
			at = a.notBefore
		}
	}
	return at
}

// send sends a ping, with the marks that it may prove.
func (m *Machine[K]) send(now time.Time) {
	m.inFlight = true
	kept := m.waiting[:0]
	for _, a := range m.waiting {
		if a.notBefore.After(now) {
			kept = append(kept, a)
		} else {
			m.covered = append(m.covered, a.Mark)
		}
	}
	m.waiting = kept
}
