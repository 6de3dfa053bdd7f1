package otelrpc_test

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/protocol/rpc/otelrpc"
)

type word struct{ Text string }

// TestSpans: a call is a span at each end, of one trace; errors are recorded where they are errors.
func TestSpans(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	with := otelrpc.WithTracerProvider(provider)
	server, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: t.TempDir(), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, gamelan.WithService(rpc.Service{
		Protocol: "/test/words/1", Encoding: rpc.JSON, Interceptors: []rpc.Interceptor{otelrpc.Service(with)},
		Methods: []rpc.Method{rpc.Unary(1, func(ctx context.Context, in *word) (*word, error) {
			if in.Text == "" {
				return nil, rpc.Errorf(rpc.NotFound, "no word")
			}
			return &word{trace.SpanContextFromContext(ctx).TraceID().String()}, nil
		}).Named("Echo")},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	client, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: t.TempDir(), Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	peer, err := client.Peers().AddSeed(t.Context(), server.Seed())
	if err != nil {
		t.Fatal(err)
	}
	words := client.RPC().Client(peer, "/test/words/1", rpc.JSON, otelrpc.Client(with))
	ctx, root := provider.Tracer("test").Start(t.Context(), "root")
	got, err := rpc.Call[word, word](ctx, words, 1, &word{"gong"})
	if err != nil || got.Text != root.SpanContext().TraceID().String() {
		t.Errorf("got %v, %v, want the trace %s", got, err, root.SpanContext().TraceID())
	}
	if _, err := rpc.Call[word, word](ctx, words, 1, &word{}); !errors.Is(err, rpc.NotFound) {
		t.Errorf("got %v", err)
	}
	if err := server.Close(t.Context()); err != nil { // its spans end behind their answers
		t.Fatal(err)
	}
	root.End()
	byID := make(map[trace.SpanID]tracetest.SpanStub)
	var servers []tracetest.SpanStub
	for _, s := range spans.GetSpans() {
		byID[s.SpanContext.SpanID()] = s
		if s.SpanKind == trace.SpanKindServer {
			servers = append(servers, s)
		}
	}
	if len(byID) != 5 || len(servers) != 2 {
		t.Fatalf("got %d spans, %d of a server, want 5 and 2", len(byID), len(servers))
	}
	for i, s := range servers {
		caller := byID[s.Parent.SpanID()]
		if caller.SpanKind != trace.SpanKindClient || s.SpanContext.TraceID() != root.SpanContext().TraceID() || byID[caller.Parent.SpanID()].Name != "root" {
			t.Errorf("span %d: got the parent %q of trace %s", i, caller.Name, s.SpanContext.TraceID())
		}
		if s.Name != "/test/words/1/Echo" || caller.Name != "/test/words/1/1" {
			t.Errorf("got the names %q and %q", s.Name, caller.Name)
		}
		want := codes.Unset
		if i == 1 {
			want = codes.Error
		}
		if s.Status.Code != codes.Unset || caller.Status.Code != want {
			t.Errorf("span %d: got the status %v, and %v of the caller", i, s.Status, caller.Status)
		}
	}
}
