package mux

import (
	"sync"
	"sync/atomic"
	"time"
)

// idle releases the receive buffers of idle substreams. Its timer runs only while substreams
// deliver bytes.
type idle struct {
	active atomic.Bool // bytes were read since the timer was set
	armed  atomic.Bool // the timer runs
	mu     sync.Mutex
	timer  *time.Timer
	off    bool
}

// touched notes that a substream delivered something.
func (s *Session) touched() {
	i := &s.idle
	if !i.active.Load() {
		i.active.Store(true)
	}
	if !i.armed.Load() {
		s.armIdle()
	}
}

func (s *Session) armIdle() {
	i := &s.idle
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.off || i.armed.Load() {
		return
	}
	i.armed.Store(true)
	if i.timer == nil {
		i.timer = time.AfterFunc(s.link.cfg.IdleTimeout, s.idled)
	} else {
		i.timer.Reset(s.link.cfg.IdleTimeout)
	}
}

func (s *Session) idled() {
	i := &s.idle
	i.mu.Lock()
	if i.off {
		i.mu.Unlock()
		return
	}
	if i.active.Swap(false) {
		i.timer.Reset(s.link.cfg.IdleTimeout)
		i.mu.Unlock()
		return
	}
	i.armed.Store(false)
	i.mu.Unlock()
	if i.active.Load() { // read between the two
		s.armIdle()
	}
	for _, st := range s.link.table.all() {
		st.lib.Shrink()
	}
}

func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.off = true
	if i.timer != nil {
		i.timer.Stop()
	}
}
