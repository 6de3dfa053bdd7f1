package onecall

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// PoolOptions bound the sessions of a client with one service of one peer. A zero
// field stands for its default.
type PoolOptions struct {
	Max     int // sessions; default 4
	Pending int // sessions in the handshake, of Max; default 3 (V 18)
}

// The back-off of a pool after a refusal, and the number of refusals in a row after
// which waiting callers get the error, when there is no session at all.
const (
	poolFirst    = 250 * time.Millisecond
	poolCeiling  = 10 * time.Second
	poolRefusals = 6
)

// Pool decides when a client opens a session. A caller asks it only when there is no
// idle session. The pool counts sessions and waiting callers; it does not know
// which they are.
type Pool struct {
	opts PoolOptions

	sessions, opening, waiting int
	returning                  int // sessions that will be idle in a moment

	refusals int
	after    time.Time // no attempt before this time
	closed   error     // error for new callers until after; may be nil
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

// PoolEffects are the actions that the caller of the pool has to carry out, all of
// them.
type PoolEffects struct {
	Open int       // begin this many sessions
	Fail error     // fail all waiting callers with this error, if not nil
	Wake time.Time // call Due at this time; zero: no need
}

// Wanted reports a caller that found no idle session and waits.
func (p *Pool) Wanted(now time.Time) PoolEffects {
	p.waiting++
	return p.plan(now)
}

// Served reports a caller that no longer waits: it has a session, or has given up.
func (p *Pool) Served() { p.waiting-- }

// Returning reports n more sessions that will be idle in a moment. With a negative n it
// takes such sessions back.
func (p *Pool) Returning(n int) { p.returning += n }

// SetMax changes how many sessions there may be. More than that go on.
func (p *Pool) SetMax(now time.Time, n int) PoolEffects {
	p.opts.Max = n
	return p.plan(now)
}

// Opened reports a new session. A waiting caller gets it, if there is one; Served is
// not called for that caller.
func (p *Pool) Opened(now time.Time) PoolEffects {
	p.opening--
	p.sessions++
	if p.waiting > 0 {
		p.waiting--
	}
	p.refusals, p.after, p.closed = 0, time.Time{}, nil
	return p.plan(now)
}

// Ended reports the end of a session.
func (p *Pool) Ended(now time.Time) PoolEffects {
	p.sessions--
	return p.plan(now)
}

// NotOpened reports a failed attempt to open a session. When the server had no
// session left, the pool tries again later, with growing pauses; meanwhile callers
// wait for the sessions that are open. jitter is a number from 0 to 1 (V 18).
func (p *Pool) NotOpened(now time.Time, err error, jitter float64) PoolEffects {
	p.opening--
	var rejected *rpc.RejectedError
	if !errors.As(err, &rejected) || !rejected.Busy() && rejected.Reason != rpc.NoClientSessions {
		if p.sessions > 0 { // waiting callers get one of these
			return PoolEffects{}
		}
		return PoolEffects{Fail: err}
	}
	p.refusals++
	wait := backoff.Doubled(p.refusals, poolFirst, poolCeiling)
	p.after = now.Add(wait/2 + time.Duration(jitter*float64(wait/2)))
	if rejected.Reason == rpc.NoClientSessions { // "refused" in 1.0.0-rc.5: no new attempt soon
		p.refusals, p.after, p.closed = poolRefusals, now.Add(poolCeiling), err
	}
	if p.sessions == 0 && p.opening == 0 && p.refusals >= poolRefusals {
		return PoolEffects{Fail: err}
	}
	return p.plan(now)
}

// Surplus returns how many sessions are being opened without a caller that waits.
func (p *Pool) Surplus() int { return max(p.opening-p.waiting, 0) }

// GivenUp reports an attempt that was ended because no caller waits for it. It is no
// failure.
func (p *Pool) GivenUp(now time.Time) PoolEffects {
	p.opening--
	return p.plan(now)
}

// Due returns the effects that have become due at now.
func (p *Pool) Due(now time.Time) PoolEffects { return p.plan(now) }

func (p *Pool) plan(now time.Time) PoolEffects {
	want := min(p.waiting-p.opening-p.returning, p.opts.Max-p.sessions-p.opening, p.opts.Pending-p.opening)
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

// Unused reports whether the pool has no session, no attempt and no waiting caller.
func (p *Pool) Unused() bool { return p.sessions == 0 && p.opening == 0 && p.waiting == 0 }

// State returns the number of sessions, of sessions being opened, and of waiting
// callers.
func (p *Pool) State() (sessions, opening, waiting int) { return p.sessions, p.opening, p.waiting }
