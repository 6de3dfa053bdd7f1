package base

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Failing is an actor that has failed, and was started again or has ended.
type Failing struct {
	Path  string // below the node
	Count int    // failures in the last FailingWithin
	Last  time.Time
	Value string // beginning of the last panic's value
}

// FailingWithin is how long a failure counts.
const FailingWithin = 10 * time.Minute

// maxFailing is how many actors are remembered, and maxFailures how many failures of one. A peer's
// actors have paths of their own, and fail once: those that failed least make way.
const (
	maxFailing  = 64
	maxFailures = 1000
)

// Failures remembers which actors have failed. Many actors write it, as they do Panics.
type Failures struct {
	mu    sync.Mutex
	of    map[string]*failures
	total atomic.Uint64 // since the node's start
}

type failures struct {
	at    []time.Time // oldest first
	value string
}

// within forgets failures of long ago, and returns how many are left.
func (f *failures) within(now time.Time) int {
	i := slices.IndexFunc(f.at, func(t time.Time) bool { return now.Sub(t) < FailingWithin })
	if i < 0 {
		i = len(f.at)
	}
	f.at = slices.Delete(f.at, 0, i)
	return len(f.at)
}

// Failed records that an actor has failed, and its parent decides about it.
func (b *Base) Failed(path string, err *supervisor.PanicError) {
	now := b.Now()
	f := &b.Failures
	f.total.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	path = b.below(path)
	x := f.of[path]
	if x == nil {
		f.makeRoom(now)
		x = new(failures)
		f.of[path] = x
	}
	if x.within(now) == maxFailures {
		x.at = slices.Delete(x.at, 0, 1)
	}
	x.at, x.value = append(x.at, now), Beginning(err.Value)
}

// makeRoom makes room for one more actor. The caller holds mu.
func (f *Failures) makeRoom(now time.Time) {
	if f.of == nil {
		f.of = make(map[string]*failures)
	}
	least := ""
	for path, x := range f.of {
		if x.within(now) == 0 {
			delete(f.of, path)
			continue
		}
		o := f.of[least]
		if o == nil || cmp.Or(cmp.Compare(len(x.at), len(o.at)), x.at[len(x.at)-1].Compare(o.at[len(o.at)-1]), cmp.Compare(path, least)) < 0 {
			least = path
		}
	}
	if len(f.of) >= maxFailing {
		delete(f.of, least)
	}
}

// Failing returns, by path, the actors that have failed in the last FailingWithin.
func (b *Base) Failing() (all []Failing) {
	now := b.Now()
	f := &b.Failures
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, x := range f.of {
		if n := x.within(now); n > 0 {
			all = append(all, Failing{Path: path, Count: n, Last: x.at[n-1], Value: x.value})
		}
	}
	slices.SortFunc(all, func(a, b Failing) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// Breakdowns are how often actors have failed since the node's start.
type Breakdowns struct {
	Failed    uint64 // and were started again, or have ended
	Contained uint64 // panics on messages of peers, which were dropped
	Program   uint64 // panics of the program's actors, services and layers
}

// Breakdowns returns how often actors have failed.
func (b *Base) Breakdowns() Breakdowns {
	return Breakdowns{b.Failures.total.Load(), b.Panics.contained.Load(), b.Panics.yours.Load()}
}
