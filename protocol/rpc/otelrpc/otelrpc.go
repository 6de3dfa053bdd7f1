// Package otelrpc makes a span of OpenTelemetry of each remote call, and carries the trace with it in the W3C format.
//
// It is a module of its own, so that programs without OpenTelemetry do not depend on it.
//
//	service := rpc.Service{Interceptors: []rpc.Interceptor{otelrpc.Service()}, …}
//	shop := node.RPC().Client(peer, "/example/shop/1", rpc.JSON, otelrpc.Client())
package otelrpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

const name = "github.com/gamelan-p2p/gamelan/protocol/rpc/otelrpc"

// Option is a setting of Client and Service.
type Option func(*settings)

type settings struct {
	provider   trace.TracerProvider
	propagator propagation.TextMapPropagator
}

// WithTracerProvider takes spans from p. The default is the global provider.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(s *settings) { s.provider = p }
}

// WithPropagator carries what p does. The default is W3C trace context and baggage.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(s *settings) { s.propagator = p }
}

func (s *settings) tracer() trace.Tracer {
	p := s.provider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	return p.Tracer(name)
}

func with(opts []Option) *settings {
	s := &settings{propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})}
	for _, o := range opts {
		o(s)
	}
	return s
}

// Client returns an interceptor for clients: a span of kind client for each call. The trace goes along in the call's metadata, which only
// nodes of this library carry.
func Client(opts ...Option) rpc.Interceptor {
	s := with(opts)
	return func(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
		ctx, span := s.tracer().Start(ctx, title(call), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes(call)...))
		defer span.End()
		carried := make(carrier)
		s.propagator.Inject(ctx, carried)
		err := next(rpc.WithMetadata(ctx, rpc.Metadata(carried)))
		record(span, err, true)
		return err
	}
}

// Service returns an interceptor for services: a span of kind server for each call, which is a child of the caller's.
func Service(opts ...Option) rpc.Interceptor {
	s := with(opts)
	return func(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
		if caller, ok := rpc.CallerOf(ctx); ok {
			ctx = s.propagator.Extract(ctx, carrier(caller.Metadata))
		}
		ctx, span := s.tracer().Start(ctx, title(call), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes(call)...))
		defer span.End() // also when the method panics
		err := next(ctx)
		record(span, err, false)
		return err
	}
}

// carrier is metadata for a propagator.
type carrier rpc.Metadata

func (c carrier) Get(key string) string { return c[key] }
func (c carrier) Set(key, value string) { c[key] = value }
func (c carrier) Keys() []string        { return slices.Sorted(maps.Keys(c)) }

// title is the name of a span: the service and the method.
func title(call rpc.Invocation) string { return string(call.Protocol) + "/" + method(call) }

func method(call rpc.Invocation) string {
	if call.Name != "" {
		return call.Name
	}
	return fmt.Sprint(call.Method)
}

func attributes(call rpc.Invocation) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("rpc.system", "gamelan"),
		attribute.String("rpc.service", string(call.Protocol)),
		attribute.String("rpc.method", method(call)),
		attribute.String("network.peer.address", call.Peer.String()),
	}
}

// record gives a span the status of its call. At a service, what the caller has caused is no error of the span.
func record(span trace.Span, err error, client bool) {
	span.SetAttributes(attribute.Int("rpc.gamelan.status", int(rpc.StatusOf(err))))
	if err == nil {
		return
	}
	span.RecordError(err)
	callers := errors.Is(err, rpc.BadRequest) || errors.Is(err, rpc.NotFound) || errors.Is(err, rpc.Forbidden) || errors.Is(err, rpc.Conflict) || errors.Is(err, rpc.Unauthenticated)
	if client || !callers {
		span.SetStatus(codes.Error, err.Error())
	}
}
