package rpc

import (
	"context"
	"errors"
	"fmt"
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
	Name     string // of the method; "" if it has none, and at a client
	Stream   bool   // the answer is a stream
}

// Interceptor stands around a call, at the service or at the client. It calls next for the
// call to be made, with ctx or one made of it, and returns next's error or one of its own.
// To refuse a call it returns an error without calling next, at a service one made with
// [Errorf]. It may call next more than once only for a unary call at a client. For a
// stream, next returns when the stream has ended.
//
// At a service, ctx is that of the method; [CallerOf] has the caller's key and deadline. An
// Interceptor must not keep ctx. A panic in it counts as one of the method.
type Interceptor func(ctx context.Context, call Invocation, next func(context.Context) error) error

// Deadline returns an Interceptor that ends calls after at most d, at a service or at a
// client. A stream has d in all. A method has to heed its ctx: an answer that comes later
// all the same is sent. The error matches [Timeout].
func Deadline(d time.Duration) Interceptor {
	return func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		inner, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		err := next(inner)
		if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, Timeout) {
			return fmt.Errorf("%w: %w", Timeout, err)
		}
		return err
	}
}

// intercepted makes a call through interceptors, the first outermost.
func intercepted(ctx context.Context, list []Interceptor, call Invocation, f func(context.Context) error) error {
	if len(list) == 0 {
		return f(ctx)
	}
	return list[0](ctx, call, func(ctx context.Context) error { return intercepted(ctx, list[1:], call, f) })
}

var errNextTwice = errors.New("rpc: an interceptor called next twice")

// Policy decides whether a peer may make a call. Nil allows it. An error made with [Errorf]
// reaches the caller; for any other error the caller gets [Forbidden] without its text. A
// Policy is asked for every call, on a goroutine of the session.
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
	about := Invocation{Protocol: s.Protocol, Method: m.number, Name: m.name, Stream: m.stream}
	return func(ctx context.Context, payload []byte, send Send) error {
		call := about
		if caller, ok := CallerOf(ctx); ok {
			call.Peer = caller.Peer
		}
		ran := false
		return intercepted(ctx, list, call, func(ctx context.Context) error {
			if ran {
				return errNextTwice
			}
			ran = true
			if err := allowed(ctx, allow, call); err != nil {
				return err
			}
			return inner(ctx, payload, send)
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
	return Errorf(Forbidden, "method %d is not allowed for this peer", call.Method)
}
