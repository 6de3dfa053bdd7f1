package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Limits of a scrape.
const (
	// MaxScrapes is how many scrapes of a [Handler] may run at a time. Further ones are refused with 503.
	MaxScrapes = 4
	// ScrapeTimeout is the time limit of a scrape, which is answered with 503 after it.
	ScrapeTimeout = 10 * time.Second
	// readTimeout is the time limit for reading the node, below that of a scrape.
	readTimeout = 5 * time.Second
)

// Collector collects the metrics of a node. It may be used from any goroutine.
type Collector struct {
	node inspect.Options

	mu    sync.Mutex
	descs map[string]*prometheus.Desc // by the name of the metric
}

// New returns the collector of a node. A node that has ended is in the state failed, and its counters stand
// still.
func New(node inspect.Options) *Collector {
	return &Collector{node: node, descs: make(map[string]*prometheus.Desc)}
}

// Describe describes nothing, which makes it an unchecked collector: parts of a program may have metrics, too.
func (*Collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics at this moment. A part of a program that has a bug in them makes one more, which is
// invalid and says so.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	samples, err := inspect.Samples(ctx, c.node)
	for i := range samples {
		to <- c.metric(&samples[i])
	}
	if err != nil {
		to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
}

func (c *Collector) metric(s *models.Sample) prometheus.Metric {
	desc := c.desc(s.Metric)
	var m prometheus.Metric
	var err error
	switch s.Metric.Kind {
	case models.Histograms:
		h := s.Histogram
		buckets := make(map[float64]uint64, len(h.Bounds))
		var sum uint64
		for i, bound := range h.Bounds {
			sum += h.Counts[i]
			buckets[bound] = sum
		}
		m, err = prometheus.NewConstHistogram(desc, h.Total(), h.Sum, buckets, s.Labels...)
	case models.Counter:
		m, err = prometheus.NewConstMetric(desc, prometheus.CounterValue, s.Value, s.Labels...)
	default:
		m, err = prometheus.NewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Labels...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

func (c *Collector) desc(m *models.Metric) *prometheus.Desc {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.descs[m.Name]
	if d == nil {
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = l.Name
		}
		d = prometheus.NewDesc(m.Name, m.Help, labels, nil)
		c.descs[m.Name] = d
	}
	return d
}

// Handler returns the handler of a scrape: the metrics of the node, of the Go runtime and of the process, in
// the format that Prometheus asks for. It answers GET and HEAD. What a part cannot tell is logged and left out. l may be nil.
func Handler(node inspect.Options, l *slog.Logger) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(New(node), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: MaxScrapes, Timeout: ScrapeTimeout, EnableOpenMetrics: true, Registry: r,
	}
	if l != nil {
		o.ErrorLog = errorsTo(l)
	}
	h := promhttp.HandlerFor(r, o)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, q)
	})
}
