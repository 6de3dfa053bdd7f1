package supervisor

import (
	"context"
	"runtime"
	"runtime/pprof"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

var _ actor.Dispatcher = (*pool)(nil)

// pool runs the activations of a tree's mailboxes, and short tasks, on goroutines. A goroutine
// that has finished waits for the next one: its stack is large enough already, while a new
// one would first have to grow, which costs as much as the rest of a short turn.
type pool struct {
	keep  int    // idle goroutines that may wait
	watch func() // called when a goroutine has become idle: trim is to be called later

	mu   sync.Mutex
	idle []chan func() // one for each waiting goroutine; the last one has worked last
	low  int           // the smallest length of idle since the last trim
	over bool
}

// newPool returns the pool of one tree. It starts no goroutine before Schedule is called.
func newPool(watch func()) *pool {
	return &pool{keep: max(8, 2*runtime.GOMAXPROCS(0)), watch: watch}
}

const throughput = 256

// Throughput returns the number of messages after which an actor yields to others.
func (*pool) Throughput() int { return throughput }

// Schedule runs fn on a goroutine. It never waits.
func (p *pool) Schedule(fn func()) {
	if !p.reuse(fn) {
		go p.work(fn)
	}
}

// reuse runs fn on an idle goroutine. It returns false if there is none.
func (p *pool) reuse(fn func()) bool {
	p.mu.Lock()
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		return false
	}
	next := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	p.low = min(p.low, last)
	p.mu.Unlock()
	next <- fn // has room for one
	return true
}

// work is one goroutine of the pool. It ends when fn calls runtime.Goexit.
func (p *pool) work(fn func()) {
	grow(0)
	next := make(chan func(), 1)
	for fn != nil {
		fn()
		pprof.SetGoroutineLabels(context.Background()) // no actor's any more
		if !p.wait(next) {
			return
		}
		p.watch()
		fn = <-next
	}
}

// wait adds a goroutine to the idle ones. It returns false if there are enough of them.
func (p *pool) wait(next chan func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || len(p.idle) >= p.keep {
		return false
	}
	p.idle = append(p.idle, next)
	return true
}

// trim ends the idle goroutines that were not needed since the last call. It reports
// whether some are left.
func (p *pool) trim() (left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	p.end(p.low)
	p.low = len(p.idle)
	return p.low > 0
}

// stop ends all idle goroutines, and the others when they have finished.
func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.end(len(p.idle))
}

// end ends the n goroutines that have waited longest. The lock is held.
func (p *pool) end(n int) {
	for _, next := range p.idle[:n] {
		next <- nil
	}
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
}
