package mux

import (
	"sync"
	"sync/atomic"
	"time"
)

// pings counts the peer's pings and matches this side's pings with their answers. This side's
// pings bypass the library, whose Ping has no time limit of its own and may take twice the
// write timeout.
type pings struct {
	came     atomic.Uint64 // answers to this side's pings; the reader counts them
	received atomic.Int32  // pings of the peer without our answer

	mu      sync.Mutex
	next    uint32
	waiting map[uint32]chan<- uint64
}

// Pong is the answer to a ping.
type Pong struct {
	RTT time.Duration
	// N is how many answers had come on the connection, with this one. It puts the answer in
	// order with the ends of substreams: see [Stream.PeerEnded].
	N uint64
}

func (p *pings) new() (uint32, <-chan uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := p.next
	p.next++
	ch := make(chan uint64, 1)
	if p.waiting == nil {
		p.waiting = make(map[uint32]chan<- uint64)
	}
	p.waiting[id] = ch
	return id, ch
}

func (p *pings) forget(id uint32) {
	p.mu.Lock()
	delete(p.waiting, id)
	if len(p.waiting) == 0 {
		p.waiting = nil // saves memory: there are many idle sessions
	}
	p.mu.Unlock()
}

// answered handles a pong. It ignores one without a waiting ping.
func (p *pings) answered(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch, ok := p.waiting[id]
	if !ok {
		return
	}
	delete(p.waiting, id)
	ch <- p.came.Add(1)
}
