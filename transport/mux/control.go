package mux

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// errBusy ends a connection whose peer provokes resets and reads none.
var errBusy = errors.New("the peer does not read what it provokes")

// control carries the few frames that the library does not write: resets, pings,
// GoAway and the window of what is dropped. They leave with the next frame of the library, or through
// a short-lived goroutine, so that nobody who asks for one waits for a
// connection that does not move.
type control struct {
	waiting atomic.Bool // there is something to take
	mu      sync.Mutex
	queue   batch
	emptied chan struct{} // closed when the queue is taken; nil without waiters
	running bool
	stopped bool
	leaving bool // GoAway is among the frames, or was
	wg      sync.WaitGroup
}

// batch is a run of frames and who waits until they are written or dropped.
type batch struct {
	frames  []byte
	written []chan<- struct{}
}

func (b batch) done() {
	for _, ch := range b.written {
		close(ch)
	}
}

// send queues a frame. It reports by closing written, unless that is nil. No ping
// follows GoAway: the peer closes when it reads that, and what it leaves unread
// makes a reset of the close.
func (c *control) send(l *link, h header, written chan<- struct{}) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving && h.kind() == typePing {
		return ErrGoingAway
	}
	if len(c.queue.frames) >= maxControl*headerLen {
		return errBusy
	}
	c.leaving = c.leaving || h.kind() == typeGoAway
	c.queue.frames = append(c.queue.frames, h[:]...)
	if written != nil {
		c.queue.written = append(c.queue.written, written)
	}
	c.waiting.Store(true)
	if !c.running && !c.stopped {
		c.running = true
		c.wg.Go(func() {
			for c.more() {
				l.write(nil)
			}
		})
	}
	return nil
}

// reset queues a reset for the peer.
func (c *control) reset(l *link, id uint32) error {
	return c.send(l, newHeader(typeData, flagRST, id, 0), nil)
}

// answer sends a frame that the peer has provoked: the reset of a substream that
// the library has not seen, or the window of bytes that it never will. It is
// called by the reader, and so slows a peer that provokes them faster than they
// can leave; after a second of no progress the connection ends.
func (l *link) answer(h header) error {
	if err := l.control.send(l, h, nil); err != errBusy {
		return err
	}
	limit := time.NewTimer(holdBack)
	defer limit.Stop()
	for {
		room := l.control.room()
		if err := l.control.send(l, h, nil); err != errBusy {
			return err
		}
		select {
		case <-room:
		case <-limit.C:
			return errBusy
		case <-l.over:
			return ErrHungUp
		}
	}
}

// room returns a channel that closes when the queue is emptied.
func (c *control) room() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.emptied == nil {
		c.emptied = make(chan struct{})
	}
	return c.emptied
}

// take empties the queue.
func (c *control) take() batch {
	if !c.waiting.Load() {
		return batch{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.queue
	c.queue = batch{}
	if c.emptied != nil {
		close(c.emptied)
		c.emptied = nil
	}
	c.waiting.Store(false)
	return b
}

// more tells the goroutine whether to go on.
func (c *control) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = len(c.queue.frames) > 0
	return c.running
}

// stop waits for the goroutine, if there is one; the connection is closed.
func (c *control) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.wg.Wait()
}

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
	switch err := l.control.send(l, newHeader(typePing, flagSYN, 0, id), nil); err {
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

// sayGoodbye refuses what the peer opens from now on and returns when GoAway
// is written.
func (l *link) sayGoodbye() error {
	l.table.mu.Lock()
	l.goingAway = true
	l.table.mu.Unlock()
	written := make(chan struct{})
	if err := l.control.send(l, newHeader(typeGoAway, 0, 0, 0), written); err != nil {
		return streamEnded(l.session.fail(err))
	}
	select {
	case <-written:
	case <-l.over:
	}
	if err := l.broken(); err != nil {
		return streamEnded(err)
	}
	return nil
}
