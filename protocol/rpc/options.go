package rpc

import (
	"context"
	"errors"
)

// ClientOption is a setting of a client: an [Encoding] or an [Interceptor].
type ClientOption interface{ set(*ClientSettings) }

// ClientSettings are the settings of a client. An [Invoker] that takes options makes them
// with [Settings]; all others need only the options.
type ClientSettings struct {
	Encoding     Encoding
	Interceptors []Interceptor // the first is outermost
	Retry        *RetryPolicy  // nil: calls are made once
}

// Settings returns the settings that the options make.
func Settings(opts ...ClientOption) ClientSettings {
	var s ClientSettings
	for _, o := range opts {
		o.set(&s)
	}
	return s
}

func (e Encoding) set(s *ClientSettings) { s.Encoding = e }

func (i Interceptor) set(s *ClientSettings) { s.Interceptors = append(s.Interceptors, i) }

// Through makes a call through the interceptors; f makes it without them. To the
// interceptors, a stream whose caller has left the loop has ended without an error.
func (s ClientSettings) Through(ctx context.Context, call Invocation, f func(context.Context) error) error {
	if len(s.Interceptors) == 0 {
		return f(ctx)
	}
	return intercepted(ctx, s.Interceptors, call, !call.Stream, func(ctx context.Context) error {
		err := f(ctx)
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
}
