package rpc

import (
	"cmp"
	"context"
	"errors"
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

// RetryPolicy says how a client makes calls again: see [Retry]. A zero field stands for its default.
type RetryPolicy struct {
	Attempts int           // at most, with the first; default 4
	First    time.Duration // pause before the second; it doubles; default 100 ms
	Most     time.Duration // the longest pause; default 5 s
	// Idempotent says that a call may run more than once: calls that may have run are made again too, when their session was lost.
	Idempotent bool
}

// Retry returns an option of a client, which makes a unary call again while it is [Retryable], within all interceptors. It pauses for
// half to all of the time that the policy says, and returns the last error when the next pause would reach the deadline of ctx. Streams are made once.
func Retry(p RetryPolicy) ClientOption { return retry(p) }

type retry RetryPolicy

func (r retry) set(s *settings) { s.retry = (*RetryPolicy)(&r) }

// again reports whether a call is made again whose n-th attempt has ended with err, and the longest pause before.
func (p RetryPolicy) again(n int, err error) (pause time.Duration, again bool) {
	if !Retryable(err) && (!p.Idempotent || !errors.Is(err, ErrSessionLost) || errors.Is(err, context.DeadlineExceeded)) || n >= cmp.Or(max(p.Attempts, 0), 4) {
		return 0, false
	}
	return backoff.Doubled(n, cmp.Or(max(p.First, 0), 100*time.Millisecond), cmp.Or(max(p.Most, 0), 5*time.Second)), true
}
