package mux

import (
	"sync"
	"sync/atomic"
	"time"
)

// pings counts the peer's and matches ours with their answers. Ours do not go
// through the library: its Ping has no limit of its own and takes up to twice
// the write timeout.
type pings struct {
	received atomic.Int32 // pings of the peer without our answer
	unasked  atomic.Uint64

	mu      sync.Mutex
	next    uint32
	waiting map[uint32]chan<- struct{}
}

func (p *pings) new() (uint32, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := p.next
	p.next++
	ch := make(chan struct{})
	if p.waiting == nil {
		p.waiting = make(map[uint32]chan<- struct{})
	}
	p.waiting[id] = ch
	return id, ch
}

func (p *pings) forget(id uint32) {
	p.mu.Lock()
	delete(p.waiting, id)
	if len(p.waiting) == 0 {
		p.waiting = nil // idle sessions are many
	}
	p.mu.Unlock()
}

// answered takes a pong. One that nobody waits for is counted and ignored.
func (p *pings) answered(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch, ok := p.waiting[id]
	if !ok {
		p.unasked.Add(1)
		return
	}
	delete(p.waiting, id)
	close(ch)
}

// ping sends one and waits for its answer.
func (l *link) ping() (time.Duration, error) {
	id, pong := l.pings.new()
	defer l.pings.forget(id)
	start := time.Now()
	switch err := l.outbox.send(l, newHeader(typePing, flagSYN, 0, id), nil); err {
	case nil:
	case ErrGoingAway:
		return 0, err
	default:
		return 0, streamEnded(l.session.fail(err))
	}
	timer := time.NewTimer(l.cfg.PingTimeout)
	defer timer.Stop()
	select {
	case <-pong:
		return time.Since(start), nil
	case <-l.over:
		return 0, streamEnded(l.err())
	case <-timer.C:
		return 0, ErrPingTimeout
	}
}
