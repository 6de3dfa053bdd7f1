package otelmetrics

import (
	"context"
	"math"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
)

func start(t *testing.T, opts ...gamelan.Option) *gamelan.Node {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

// TestProducer: a reader of OpenTelemetry gets every metric of a node that has sent a message, with the values
// that the node has.
func TestProducer(t *testing.T) {
	bob := start(t, gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil }))
	ann := start(t)
	if _, err := ann.DialAt(t.Context(), bob.Seed()); err != nil {
		t.Fatal(err)
	}
	if o, err := ann.Send(t.Context(), bob.ID(), []byte("hello")); err != nil || o.AsError() != nil {
		t.Fatal(o, err)
	}
	reader := metric.NewManualReader(metric.WithProducer(Producer(ann.Inspection().Options)))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer provider.Shutdown(t.Context())
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	named := make(map[string]metricdata.Metrics)
	for _, s := range got.ScopeMetrics {
		for _, m := range s.Metrics {
			if _, twice := named[m.Name]; twice {
				t.Errorf("got %s twice", m.Name)
			}
			named[m.Name] = m
		}
	}
	samples, err := inspect.Samples(t.Context(), ann.Inspection().Options)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		m, ok := named[s.Metric.Name]
		if !ok || m.Description != s.Metric.Help || m.Unit == "" {
			t.Errorf("%s: got %+v, want it with help and unit", s.Metric.Name, m)
		}
	}
	sends := named["gamelan_sends_total"].Data.(metricdata.Sum[float64])
	confirmed := 0.0
	for _, p := range sends.DataPoints {
		if v, _ := p.Attributes.Value("outcome"); v.AsString() == "confirmed" {
			confirmed += p.Value
		}
		if p.StartTime.After(p.Time) || p.StartTime.IsZero() {
			t.Errorf("got the start %v of a counter at %v", p.StartTime, p.Time)
		}
	}
	if confirmed != 1 || !sends.IsMonotonic || sends.Temporality != metricdata.CumulativeTemporality {
		t.Errorf("got %v confirmed in %+v, want one message of a counter", confirmed, sends)
	}
	took := named["gamelan_send_duration_seconds"]
	if h := took.Data.(metricdata.Histogram[float64]).DataPoints[0]; h.Count != 1 || !(h.Sum > 0) || math.IsNaN(h.Sum) || len(h.BucketCounts) != len(h.Bounds)+1 || took.Unit != "s" {
		t.Errorf("got %+v in %s, want one duration in seconds", h, took.Unit)
	}
	if online := named["gamelan_online"].Data.(metricdata.Gauge[float64]); len(online.DataPoints) != 1 {
		t.Errorf("got %+v, want one value", online)
	}
	for name := range named {
		if !strings.HasPrefix(name, "gamelan_") {
			t.Errorf("got the name %s", name)
		}
	}
}
