package keepalive

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/deadline"
)

// The times after which a direct connection is dead (spec: V36).
const (
	// Unacknowledged is how long bytes may be sent again and again without an
	// acknowledgement.
	Unacknowledged = 15 * time.Second
	// Silent is how long nothing may come while a ping waits for its answer.
	Silent = 30 * time.Second
	// Unanswered is how long a ping may wait for its answer, whatever comes meanwhile.
	Unanswered = 65 * time.Second
	// DirectInterval is the longest silence before such a connection is pinged.
	DirectInterval = 15 * time.Second

	// lastTry is how late in that time an attempt to send again must have been made; without
	// one the connection has retryGrace more. A way that was cut for 10 s has carried nothing
	// before.
	lastTry    = 10 * time.Second
	retryGrace = 5 * time.Second
	// longestLook and shortestLook bound the time between two looks.
	longestLook  = 5 * time.Second
	shortestLook = 10 * time.Millisecond
	// late is how much later than asked a look may be; after a later one this process, and not
	// the peer, has stood still.
	late = 2 * time.Second
)

// Progress is what a look sees of the bytes that this end has sent. Its fields are those of
// transport.Flight, which is converted to it.
type Progress struct {
	Unacknowledged, Unsent       bool
	Acknowledged, Received, Sent time.Duration
}

// Verdict says what a look at a connection has found.
type Verdict uint8

// The verdicts. Dead ones name the rule.
const (
	Alive Verdict = iota
	DeadUnacknowledged
	DeadSilent
	DeadUnanswered
)

// Silence decides when a direct connection is dead. It looks at the connection every few
// seconds. The zero Silence has seen nothing in flight. It is not safe for concurrent use.
type Silence struct {
	since time.Time // from when on something is in flight, as far as the looks have seen; zero: nothing is
	due   time.Time // when the next look was asked for
	awake time.Time // when this process last went on after it had stood still
}

// Since returns from when on something has been in flight without an acknowledgement, as far as
// the looks have seen, or the zero time.
func (s *Silence) Since() time.Time { return s.since }

// Look decides by what is known at now: heard is when the last byte came, pinged when the oldest
// ping without an answer was sent, or zero. f is nil if the system tells nothing; blocked is
// then that a write waits for the connection. It returns when to look again.
func (s *Silence) Look(now, heard, pinged time.Time, f *Progress, blocked bool) (v Verdict, next time.Time) {
	if !s.due.IsZero() && now.Sub(s.due) > late {
		s.awake = now
	}
	end, verdict := s.end(now, heard, pinged, f, blocked)
	next = now.Add(longestLook)
	switch {
	case verdict == Alive:
	case !end.After(now):
		return verdict, next
	case end.Before(next):
		next = end
	}
	if least := now.Add(shortestLook); next.Before(least) {
		next = least
	}
	s.due = next
	return Alive, next
}

// end returns when the connection will be dead if nothing happens, and by which rule; Alive
// means by none.
func (s *Silence) end(now, heard, pinged time.Time, f *Progress, blocked bool) (time.Time, Verdict) {
	if f == nil {
		f = &Progress{Unsent: blocked, Received: now.Sub(heard)}
	}
	end, v := time.Time{}, Alive
	if !f.Unsent && !pinged.IsZero() { // otherwise there is a full window, or nothing to wait for
		end, v = deadline.Latest(pinged, s.awake).Add(Unanswered), DeadUnanswered
	}
	if !f.Unacknowledged {
		s.since = time.Time{}
		if v == Alive {
			return end, v
		}
		if at := deadline.Latest(heard, now.Add(-f.Received), s.awake).Add(Silent); at.Before(end) {
			return at, DeadSilent
		}
		return end, v
	}
	if s.since.IsZero() {
		s.since = now
		if acked := now.Add(-f.Acknowledged); pinged.Before(now) && !acked.After(pinged) { // the ping itself is in flight
			s.since = pinged
		}
	}
	s.since = deadline.Latest(s.since, now.Add(-f.Acknowledged), s.awake)
	at := s.since.Add(Unacknowledged)
	if sent := now.Add(-f.Sent); sent.Before(s.since.Add(lastTry)) && !at.After(now) {
		at = at.Add(retryGrace)
	}
	if v == Alive || at.Before(end) {
		return at, DeadUnacknowledged
	}
	return end, v
}
