package rpc

import (
	"errors"
	"time"
)

// PoolOptions bound the sessions of a client with one service of one peer. Zero
// fields are the defaults.
type PoolOptions struct {
	Max     int // sessions; default 4
	Pending int // of these, handshakes under way; default 3 (V 18)
}

// Back-off of a pool after a refusal, and how many refusals in a row those are
// told of who wait while there is no session at all.
const (
	poolFirst    = 250 * time.Millisecond
	poolCeiling  = 10 * time.Second
	poolRefusals = 6
)

// Pool decides when a client opens a session: as long as there is an idle one
// nobody asks it. It knows how many sessions there are and how many callers
// wait, not who.
type Pool struct {
	opts PoolOptions

	sessions, opening, waiting int
	resting                    int // sessions that are idle in a moment

	refusals int
	after    time.Time // no attempt before
	closed   error     // until then, who asks is told this
}

// NewPool returns a pool without sessions.
func NewPool(o PoolOptions) *Pool {
	if o.Max <= 0 {
		o.Max = 4
	}
	if o.Pending <= 0 {
		o.Pending = 3
	}
	return &Pool{opts: o}
}

// PoolEffects is what to do next, all of it.
type PoolEffects struct {
	Open int       // begin so many sessions
	Fail error     // tell everybody who waits
	Wake time.Time // call Due then; zero: no need
}

// Wanted is a caller who found no idle session and waits.
func (p *Pool) Wanted(now time.Time) PoolEffects {
	p.waiting++
	return p.plan(now)
}

// Served is a caller who waits no longer: he has a session, or has given up.
func (p *Pool) Served() { p.waiting-- }

// Resting is a session that is not given out, but will be in a moment, or is
// not any more if n is negative.
func (p *Pool) Resting(n int) { p.resting += n }

// Opened is a new session. It is given to one who waits, if somebody does: for
// him Served is not called.
func (p *Pool) Opened(now time.Time) PoolEffects {
	p.opening--
	p.sessions++
	if p.waiting > 0 {
		p.waiting--
	}
	p.refusals, p.after, p.closed = 0, time.Time{}, nil
	return p.plan(now)
}

// Ended is the end of a session.
func (p *Pool) Ended(now time.Time) PoolEffects {
	p.sessions--
	return p.plan(now)
}

// NotOpened is an attempt that failed. A server without a session left is tried
// again later, by and by less often; meanwhile callers wait for the sessions
// there are, or in vain. Jitter is a number from 0 to 1 (V 18).
func (p *Pool) NotOpened(now time.Time, err error, jitter float64) PoolEffects {
	p.opening--
	var rejected *RejectedError
	if !errors.As(err, &rejected) || !rejected.Busy() && rejected.Reason != NoClientSessions {
		if p.sessions > 0 { // who waits gets one of these
			return PoolEffects{}
		}
		return PoolEffects{Fail: err}
	}
	p.refusals++
	wait := min(poolFirst<<min(p.refusals-1, 16), poolCeiling)
	p.after = now.Add(wait/2 + time.Duration(jitter*float64(wait/2)))
	if rejected.Reason == NoClientSessions { // "refused" in 1.0.0-rc.5: not again soon
		p.refusals, p.after, p.closed = poolRefusals, now.Add(poolCeiling), err
	}
	if p.sessions == 0 && p.opening == 0 && p.refusals >= poolRefusals {
		return PoolEffects{Fail: err}
	}
	return p.plan(now)
}

// Unwanted is how many of the sessions that are being opened nobody waits for.
func (p *Pool) Unwanted() int { return max(p.opening-p.waiting, 0) }

// GivenUp is an attempt that was ended because nobody waits for it. It is no
// failure.
func (p *Pool) GivenUp(now time.Time) PoolEffects {
	p.opening--
	return p.plan(now)
}

// Due looks at the time.
func (p *Pool) Due(now time.Time) PoolEffects { return p.plan(now) }

func (p *Pool) plan(now time.Time) PoolEffects {
	want := min(p.waiting-p.opening-p.resting, p.opts.Max-p.sessions-p.opening, p.opts.Pending-p.opening)
	switch {
	case want <= 0:
		return PoolEffects{}
	case now.Before(p.after) && p.closed != nil && p.sessions == 0:
		return PoolEffects{Fail: p.closed}
	case now.Before(p.after):
		return PoolEffects{Wake: p.after}
	}
	p.closed = nil
	if p.refusals > 0 {
		want = 1 // one try after a refusal
		if p.opening > 0 {
			return PoolEffects{}
		}
	}
	p.opening += want
	return PoolEffects{Open: want}
}

// Unused reports whether nothing is left of the pool.
func (p *Pool) Unused() bool { return p.sessions == 0 && p.opening == 0 && p.waiting == 0 }

// State is how many sessions there are, how many are being opened, and how many
// callers wait.
func (p *Pool) State() (sessions, opening, waiting int) { return p.sessions, p.opening, p.waiting }
