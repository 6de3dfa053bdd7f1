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
	received atomic.Int32 // pings of the peer without our answer
	unasked  atomic.Uint64
	answers  atomic.Uint64 // pongs for pings that wait

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
		p.waiting = nil // saves memory: there are many idle sessions
	}
	p.mu.Unlock()
}

// answered handles a pong. It counts and ignores one without a waiting ping.
func (p *pings) answered(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch, ok := p.waiting[id]
	if !ok {
		p.unasked.Add(1)
		return
	}
	delete(p.waiting, id)
	p.answers.Add(1)
	close(ch)
}

// ping sends a ping and waits for its answer.
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
	var err error
	select {
	case <-pong:
	case <-l.over:
		err = streamEnded(l.err())
	case <-timer.C:
		err = ErrPingTimeout
	}
	select {
	case <-pong: // it counts, whatever came together with it
		return time.Since(start), nil
	default:
		return 0, err
	}
}

// withholds reports whether pings of the peer get no answer now.
func (l *link) withholds() bool {
	flag := l.withhold.Load()
	return flag != nil && flag.Load()
}
