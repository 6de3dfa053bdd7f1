package mux

import (
	"slices"
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
	waiting []waitingPing
}

// Pong is the answer to a ping.
type Pong struct {
	RTT time.Duration
	// N is how many answers had come on the connection, with this one. It puts the answer in
	// order with the ends of substreams: see [Stream.PeerEnded].
	N uint64
}

type waitingPing struct {
	id   uint32
	pong chan<- uint64
}

func (p *pings) new() (id uint32, pong <-chan uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ch := p.next, make(chan uint64, 1)
	p.next++
	p.waiting = append(p.waiting, waitingPing{id, ch})
	return id, ch
}

// over removes a ping, and answers it if an answer has come. It ignores one that does not wait.
func (p *pings) over(id uint32, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(w waitingPing) bool {
		if w.id == id && answered {
			w.pong <- p.came.Add(1)
		}
		return w.id == id
	})
}
