package keepalive

import (
	"slices"
	"time"
)

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

const (
	// maxInFlight is the greatest number of pings in flight. Peers of this library end a
	// connection at 17. The spacing leaves about five.
	maxInFlight = 8
	// minGap is the least time between two pings of which the first is not answered. spacing is
	// the fraction of a round trip by which the time grows with each ping in flight: the second
	// ping proves the rest of a burst, whose first message the first one proves, and in a steady
	// flow there is a ping about every quarter of a round trip.
	minGap  = 250 * time.Microsecond
	spacing = 16
	// quick is the round trip up to which a mark waits for the pong rather than for a Wake.
	quick = time.Millisecond
)

type asked[K comparable] struct {
	Mark[K]
	notBefore time.Time
}

// flight is a ping without an answer.
type flight[K comparable] struct {
	sent    time.Time
	covered []Mark[K] // marks that it proves
}

// Machine decides about the pings of one connection. It is not safe for
// concurrent use.
type Machine[K comparable] struct {
	interval time.Duration
	heard    time.Time     // last sign of life
	trip     time.Duration // of the last ping that was answered
	flights  []flight[K]   // oldest first; they are answered in this order
	waiting  []asked[K]    // marks that the next ping proves, one for each asker
	wake     time.Time     // the earliest Wake that has not come
	proven   []Mark[K]     // of the last answer
	spare    []Mark[K]     // memory for the next flight
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

// Ponged reports the answer to one of the pings in flight. The peer answers them in order, so
// it is taken for the answer to the oldest one, even if reports overtake each other. Without a
// ping in flight it changes nothing.
func (m *Machine[K]) Ponged(now time.Time) Effects[K] {
	if len(m.flights) == 0 {
		return m.next(now)
	}
	m.Heard(now)
	m.spare, m.proven = m.proven[:0], m.flights[0].covered
	m.trip = now.Sub(m.flights[0].sent)
	m.flights = slices.Delete(m.flights, 0, 1)
	f := m.next(now)
	f.Proven = m.proven
	return f
}

// LastHeard returns when the last sign of life came, as far as Heard was told.
func (m *Machine[K]) LastHeard() time.Time { return m.heard }

// Oldest returns when the oldest ping without an answer was sent, or the zero time.
func (m *Machine[K]) Oldest() time.Time {
	if len(m.flights) == 0 {
		return time.Time{}
	}
	return m.flights[0].sent
}

// InFlight returns the number of pings in flight.
func (m *Machine[K]) InFlight() int { return len(m.flights) }

// Due reports that the time of a Wake has come. It may be called at any other time.
func (m *Machine[K]) Due(now time.Time) Effects[K] {
	if !now.Before(m.wake) {
		m.wake = time.Time{}
	}
	return m.next(now)
}

// next sends a ping when one is due, and otherwise asks for a Wake.
func (m *Machine[K]) next(now time.Time) Effects[K] {
	at := m.nextPing()
	switch {
	case at.IsZero():
		return Effects[K]{}
	case !at.After(now):
		m.send(now)
		return Effects[K]{Ping: true}
	case !m.wake.IsZero() && !at.Before(m.wake):
		return Effects[K]{}
	case len(m.flights) > 0 && m.trip <= quick: // the pong comes as soon
		return Effects[K]{}
	}
	m.wake = at
	return Effects[K]{Wake: at}
}

// nextPing returns when the next ping is due; zero means never, or not before a pong.
func (m *Machine[K]) nextPing() time.Time {
	var at time.Time
	n := len(m.flights)
	if m.interval > 0 && n == 0 {
		at = m.heard.Add(m.interval)
	}
	if n == maxInFlight {
		return at
	}
	for _, a := range m.waiting {
		if at.IsZero() || a.notBefore.Before(at) {
			at = a.notBefore
		}
	}
	if n > 0 && !at.IsZero() {
		gap := max(minGap, m.trip*time.Duration(n-1)/spacing)
		if free := m.flights[n-1].sent.Add(gap); at.Before(free) {
			at = free
		}
	}
	return at
}

// send sends a ping, with the marks that it may prove.
func (m *Machine[K]) send(now time.Time) {
	f := flight[K]{sent: now, covered: m.spare}
	m.spare = nil
	kept := m.waiting[:0]
	for _, a := range m.waiting {
		if a.notBefore.After(now) {
			kept = append(kept, a)
		} else {
			f.covered = append(f.covered, a.Mark)
		}
	}
	m.waiting = kept
	m.flights = append(m.flights, f)
}
