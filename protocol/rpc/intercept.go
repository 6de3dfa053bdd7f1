package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Invocation describes a call to its [Interceptor] and [Policy].
type Invocation struct {
	// Peer is the other side: the caller of this node's service, or the peer whose service is
	// called.
	Peer     identity.NodeID
	Protocol protocol.ID
	Method   uint32
	Name     string // of the method, as [Method.Named] or [Name] has it; "" if it has none
	Stream   bool   // the answer is a stream
	Requests bool   // there is a stream of requests

	watching *watching
}

// Interceptor stands around a call, at the service or at the client. It calls next for the
// call to be made, with ctx or one made of it, and returns next's error or one of its own.
// To refuse a call it returns an error without calling next, at a service one made with
// [Errorf]; nil for a call that was not made, or has failed, is an error. It may call next
// more than once only for a unary call at a client. For a stream, next returns when the
// stream has ended. [Invocation.Watch] shows the messages.
//
// When an Interceptor returns while next runs on another goroutine, the context of the call
// ends, and the call is waited for. A later next makes no call. A panic of the method on
// such a goroutine ends the program, as any panic there does.
//
// At a service, ctx is that of the method; [CallerOf] has the caller's key and deadline. An
// Interceptor must not keep ctx. A panic in it counts as one of the method. A panic of the
// method passes through it: next does not return, so what must happen after every call
// belongs in a deferred function.
type Interceptor func(ctx context.Context, call Invocation, next func(context.Context) error) error

// Deadline returns an Interceptor that ends calls after at most d, at a service or at a
// client. A stream has d in all. A method has to heed its ctx: an answer that comes later
// all the same is sent. After d the error matches [Timeout]; before, it is the call's own,
// also if that matches context.DeadlineExceeded.
func Deadline(d time.Duration) Interceptor {
	return func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		inner, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		err := next(inner)
		over := errors.Is(inner.Err(), context.DeadlineExceeded)
		if over && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, Timeout) {
			return fmt.Errorf("%w: %w", Timeout, err)
		}
		return err
	}
}

// intercepted makes a call through interceptors, the first outermost. The call is over when
// intercepted returns, and its context has ended. again says that next may be called more
// than once.
func intercepted(ctx context.Context, list []Interceptor, call Invocation, again bool, f func(context.Context) error) error {
	if len(list) == 0 {
		return f(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := turn{again: again, last: errNextNever}
	defer t.wait()
	defer cancel()
	if err := through(ctx, list, call, func(ctx context.Context) error { return t.take(ctx, f) }); err != nil {
		return err
	}
	cancel()
	t.wait()
	return t.result()
}

func through(ctx context.Context, list []Interceptor, call Invocation, f func(context.Context) error) error {
	if len(list) == 0 {
		return f(ctx)
	}
	return list[0](ctx, call, func(ctx context.Context) error { return through(ctx, list[1:], call, f) })
}

// turn lets the interceptors of one call make it, one at a time and until they have
// returned: the buffers of the call are those of its session, and the answer is its caller's.
type turn struct {
	mu         sync.Mutex // locked while the call runs
	again      bool
	ran, ended bool
	last       error // how the call ended last
}

func (t *turn) take(ctx context.Context, f func(context.Context) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		return errNextLate
	case t.ran && !t.again:
		return errNextTwice
	}
	t.ran = true
	t.last = errNextPanicked // unless f returns
	t.last = f(ctx)
	return t.last
}

// wait waits for the call. No other call is made after it.
func (t *turn) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

// result returns an error unless the call was made and has succeeded.
func (t *turn) result() error {
	if t.last != nil && t.ran {
		return fmt.Errorf("rpc: an interceptor returned nil for a call that failed: %w", t.last)
	}
	return t.last
}

var (
	errNextTwice    = errors.New("rpc: an interceptor called next twice")
	errNextLate     = errors.New("rpc: an interceptor called next after it had returned")
	errNextNever    = errors.New("rpc: an interceptor returned nil without calling next; it refuses a call with an error")
	errNextPanicked = errors.New("rpc: the call panicked")
)

// Policy decides whether a peer may make a call. Nil allows it. An error made with [Errorf]
// reaches the caller; for any other error the caller gets [Forbidden] without its text, and
// the node logs the error, unless that is [Forbidden] itself. A Policy is asked for every
// call, on a goroutine of the session.
type Policy func(ctx context.Context, call Invocation) error

// AllowPeers returns a Policy that allows these peers, and no others.
func AllowPeers(peers ...identity.NodeID) Policy {
	allowed := make(map[identity.NodeID]bool, len(peers))
	for _, p := range peers {
		allowed[p] = true
	}
	return func(_ context.Context, call Invocation) error {
		if !allowed[call.Peer] {
			return Forbidden
		}
		return nil
	}
}

// AllowAll is the Policy that allows every peer, for a method of a service that allows
// only some.
func AllowAll(context.Context, Invocation) error { return nil }

// policy returns the policy of a method, or nil.
func (s Service) policy(method uint32) Policy {
	if p, ok := s.AllowMethod[method]; ok {
		return p
	}
	return s.Allow
}

// guarded returns a method as the service serves it: within its interceptors, and for
// peers that its policy allows.
func (s Service) guarded(m Method) serve {
	allow, inner := s.policy(m.number), m.serve
	if allow == nil && len(s.Interceptors) == 0 {
		return inner
	}
	list := append([]Interceptor(nil), s.Interceptors...)
	about := Invocation{Protocol: s.Protocol, Method: m.number, Name: m.name, Stream: m.stream, Requests: m.requests}
	return func(ctx context.Context, w *watching, payload []byte, next Receive, send Send) error {
		call := about
		if call.watching = w; w == nil && len(list) > 0 {
			call.watching = new(watching)
		}
		if caller, ok := CallerOf(ctx); ok {
			call.Peer = caller.Peer
		}
		return intercepted(ctx, list, call, false, func(ctx context.Context) error {
			if err := allowed(ctx, allow, call); err != nil {
				return err
			}
			return inner(ctx, call.watching, payload, next, send)
		})
	}
}

func allowed(ctx context.Context, allow Policy, call Invocation) error {
	if allow == nil {
		return nil
	}
	err := allow(ctx, call)
	var said *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said) && said.Status != OK:
		return err
	}
	answer := &Error{Forbidden, fmt.Sprintf("method %d is not allowed for this peer", call.Method)}
	if errors.Is(err, Forbidden) {
		return answer
	}
	return &policyError{answer, err}
}

// policyError is an error of a policy's own, which the caller does not get to see.
type policyError struct {
	answer *Error // what the caller gets
	err    error
}

func (e *policyError) Error() string {
	return fmt.Sprintf("%v: its policy failed: %v", e.answer, e.err)
}

// Answer returns what the caller gets.
func (e *policyError) Answer() *Error { return e.answer }

func (e *policyError) Unwrap() []error { return []error{e.answer, e.err} }
