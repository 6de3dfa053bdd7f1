package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

// ErrNotRun reports a call that the service has not run: there was no connection or session for it, or the service refused it before
// its method began. The error says why.
var ErrNotRun = errors.New("rpc: the call was not run")

// NotRun returns err, with its text, as an error that matches [ErrNotRun] too.
func NotRun(err error) error { return notRun{err} }

type notRun struct{ error }

func (e notRun) Unwrap() []error { return []error{e.error, ErrNotRun} }

// Retryable reports whether the same call may succeed later, and was not run: the error matches [ErrNotRun], [Unavailable] or
// [Exhausted], or the peer had no session left. A call whose session was lost may have run; it is not Retryable.
func Retryable(err error) bool {
	var rejected *RejectedError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, Timeout):
		return false
	case errors.As(err, &rejected):
		return rejected.Busy()
	}
	return errors.Is(err, ErrNotRun) || errors.Is(err, Unavailable) || errors.Is(err, Exhausted)
}

// RetryPolicy says how [Retry] makes calls again. A zero field stands for its default.
type RetryPolicy struct {
	Attempts int           // at most, with the first; default 4
	First    time.Duration // pause before the second; it doubles; default 100 ms
	Most     time.Duration // the longest pause; default 5 s
	// Idempotent says that a call may run more than once: calls that may have run are made again too, when their session was lost.
	Idempotent bool
}

// Retry returns an [Interceptor] for clients, which makes a unary call again while it is [Retryable]. It pauses for half to all of the
// time that the policy says, and returns the last error when the next pause would reach the deadline of ctx. Streams pass unchanged.
func Retry(p RetryPolicy) Interceptor {
	if p.Attempts <= 0 {
		p.Attempts = 4
	}
	if p.First <= 0 {
		p.First = 100 * time.Millisecond
	}
	if p.Most <= 0 {
		p.Most = 5 * time.Second
	}
	return func(ctx context.Context, call Invocation, next func(context.Context) error) error {
		for n := 1; ; n++ {
			err := next(ctx)
			if call.Stream || n >= p.Attempts || !p.again(err) {
				return err
			}
			pause := backoff.Doubled(n, p.First, p.Most)
			pause = pause/2 + rand.N(pause/2+1)
			if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
				return err
			}
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return err
			}
		}
	}
}

func (p RetryPolicy) again(err error) bool {
	return Retryable(err) || p.Idempotent && errors.Is(err, ErrSessionLost) && !errors.Is(err, context.DeadlineExceeded)
}
