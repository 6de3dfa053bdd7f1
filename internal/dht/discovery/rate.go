package discovery

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// rate limits how many events each source may cause. It never allows more than most in
// any span; it counts by tenths of the span. It remembers at most maxSources; for further
// ones it forgets those that have been silent for longest, so that nobody can shut out others.
type rate[K comparable] struct {
	most   int
	span   time.Duration
	begin  time.Time
	source *lru.Map[K, slots]
}

const (
	rateSlots  = 10
	maxSources = 4096
)

// slots counts the events of the slot last and of those before it.
type slots struct {
	last int64
	n    [rateSlots + 1]int
}

func newRate[K comparable](most int, span time.Duration) *rate[K] {
	return &rate[K]{most: most, span: span, source: lru.New[K, slots](maxSources)}
}

// room reports whether the source may cause one more event now.
func (r *rate[K]) room(now time.Time, source K) bool {
	at := r.slot(now)
	if r.source.Get(source) == nil {
		return r.most > 0
	}
	s := r.source.Use(source)
	s.advance(at)
	n := 0
	for _, m := range s.n {
		n += m
	}
	return n < r.most
}

// take counts an event of the source, for which there must be room.
func (r *rate[K]) take(now time.Time, source K) {
	at := r.slot(now)
	s := r.source.Use(source)
	s.advance(at)
	s.n[at%int64(len(s.n))]++
}

func (r *rate[K]) slot(now time.Time) int64 {
	if r.begin.IsZero() {
		r.begin = now
	}
	return int64(now.Sub(r.begin) / (r.span / rateSlots))
}

func (s *slots) advance(to int64) {
	for from := max(s.last, to-int64(len(s.n))); from < to; from++ {
		s.n[(from+1)%int64(len(s.n))] = 0
	}
	s.last = max(s.last, to)
}
