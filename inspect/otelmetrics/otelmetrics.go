// Package otelmetrics gives the metrics of a node to OpenTelemetry. They have the names, units and texts of
// docs/metrics.md.
//
// It is a module of its own, so that programs without OpenTelemetry do not depend on it.
//
//	reader := metric.NewPeriodicReader(exporter, metric.WithProducer(otelmetrics.Producer(node.Inspection().Options)))
//	provider := metric.NewMeterProvider(metric.WithReader(reader))
package otelmetrics

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

const scope = "github.com/gamelan-p2p/gamelan/inspect/otelmetrics"

// Producer returns the metrics of a node for a reader of go.opentelemetry.io/otel/sdk/metric. Counters and
// histograms are cumulative since the node's start. It may be used from any goroutine.
func Producer(node inspect.Options) metric.Producer { return producer{node} }

type producer struct{ node inspect.Options }

// startTime is the metric from which counters begin.
const startTime = "gamelan_start_time_seconds"

// Produce returns the metrics at this moment. The error says what is missing because of a bug of a part; all else is
// there.
func (p producer) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	samples, err := inspect.Samples(ctx, p.node)
	all := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scope}}
	now := time.Now()
	began := now
	for i := range samples {
		if samples[i].Metric.Name == startTime {
			began = time.UnixMilli(int64(samples[i].Value * 1e3))
		}
	}
	for from := 0; from < len(samples); { // those of one metric come together
		to := from + 1
		for to < len(samples) && samples[to].Metric.Name == samples[from].Metric.Name {
			to++
		}
		m := samples[from].Metric
		all.Metrics = append(all.Metrics, metricdata.Metrics{Name: m.Name, Description: m.Help, Unit: units[m.Unit], Data: data(samples[from:to], began, now)})
		from = to
	}
	return []metricdata.ScopeMetrics{all}, err
}

// units are the units of OpenTelemetry.
var units = map[string]string{"": "1", "seconds": "s", "bytes": "By", "ratio": "1"}

// data returns the samples of one metric.
func data(samples []models.Sample, began, now time.Time) metricdata.Aggregation {
	var points []metricdata.DataPoint[float64]
	var histograms []metricdata.HistogramDataPoint[float64]
	for i := range samples {
		s := &samples[i]
		if h := s.Histogram; h != nil {
			histograms = append(histograms, metricdata.HistogramDataPoint[float64]{
				Attributes: attributes(s), StartTime: began, Time: now, Count: h.Total(), Sum: h.Sum, Bounds: h.Bounds, BucketCounts: h.Counts,
			})
			continue
		}
		points = append(points, metricdata.DataPoint[float64]{Attributes: attributes(s), StartTime: began, Time: now, Value: s.Value})
	}
	switch samples[0].Metric.Kind {
	case models.Histograms:
		return metricdata.Histogram[float64]{DataPoints: histograms, Temporality: metricdata.CumulativeTemporality}
	case models.Counter:
		return metricdata.Sum[float64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
	}
	return metricdata.Gauge[float64]{DataPoints: points}
}

func attributes(s *models.Sample) attribute.Set {
	var list []attribute.KeyValue
	for i, l := range s.Metric.Labels {
		if s.Labels[i] != "" {
			list = append(list, attribute.String(l.Name, s.Labels[i]))
		}
	}
	return attribute.NewSet(list...)
}
