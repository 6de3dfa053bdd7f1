package inspect

import (
	"sync"
	"time"
)

// rates turns counters into figures per second by comparing samples of two requests. It
// keeps two samples and starts no goroutine, so it does no work without requests.
type rates struct {
	mu       sync.Mutex
	old, new sample
}

type sample struct {
	at     time.Time
	counts map[string]count
}

type count struct {
	processed uint64
	busy      int64
}

// Samples are taken half a minute apart, so that the older one is up to a minute old. One
// older than two minutes is not used.
const (
	sampleEvery = 30 * time.Second
	sampleStale = 2 * time.Minute
	sampleLeast = 500 * time.Millisecond
)

// fill sets Rate and BusyPct of actors that do not have them yet: since the
// older sample that is fresh enough, or since the actor's start when that was
// within the last minute.
func (r *rates) fill(now time.Time, actors []Actor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.old.at) > sampleStale {
		r.old = sample{}
	}
	if now.Sub(r.new.at) > sampleStale {
		r.new = sample{}
	}
	base := r.old
	if base.at.IsZero() {
		base = r.new
	}
	for i := range actors {
		a := &actors[i]
		if a.Rate != nil {
			continue
		}
		since, from := base.at, base.counts[a.ID]
		if _, ok := base.counts[a.ID]; !ok {
			since, from = a.StartedAt, count{}
			if now.Sub(since) > time.Minute || a.Incarnation > 1 {
				continue
			}
		}
		span := now.Sub(since)
		if span < sampleLeast || a.Processed < from.processed || a.BusyTotal < from.busy {
			continue
		}
		a.Rate = new(float64(a.Processed-from.processed) / span.Seconds())
		a.BusyPct = new(100 * float64(a.BusyTotal-from.busy) / float64(span))
	}
	if now.Sub(r.new.at) >= sampleEvery {
		r.old, r.new = r.new, take(now, actors)
	}
}

func take(now time.Time, actors []Actor) sample {
	s := sample{at: now, counts: make(map[string]count, len(actors))}
	for i := range actors {
		s.counts[actors[i].ID] = count{actors[i].Processed, actors[i].BusyTotal}
	}
	return s
}
