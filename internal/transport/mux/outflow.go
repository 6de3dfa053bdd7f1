package mux

import (
	"os"
	"sync"
	"time"
)

// outflow is the sending half of a substream: the peer's credit, and the deadline of Write.
type outflow struct {
	ready waker // wakes a Write that waits; it looks itself at what has happened

	mu       sync.Mutex
	window   int64  // bytes that the peer takes
	wrote    uint64 // bytes that had credit
	deadline time.Time
}

// waker wakes the one goroutine that waits for it, now or when it waits next.
type waker chan struct{}

func newWaker() waker { return make(waker, 1) }

func (w waker) wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// maxCredit is more than anybody writes before the next credit: it bounds what a peer that gives
// credit without end can add up.
const maxCredit = 1 << 40

// grant adds credit of the peer.
func (o *outflow) grant(n uint32) {
	o.mu.Lock()
	waits := o.window == 0 && n > 0
	o.window = min(o.window+int64(n), maxCredit)
	o.mu.Unlock()
	if waits {
		o.ready.wake()
	}
}

// take takes credit for up to n bytes; 0: there is none.
func (o *outflow) take(n int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.deadline.IsZero() && !time.Now().Before(o.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	n = int(min(int64(n), o.window))
	o.window -= int64(n)
	o.wrote += uint64(n)
	return n, nil
}

// await waits for credit, or for anything else that Write must look at, until the given time.
// Then it returns [ErrStalled].
func (o *outflow) await(until time.Time) error {
	o.mu.Lock()
	limit := until
	if !o.deadline.IsZero() && o.deadline.Before(until) {
		limit = o.deadline
	}
	o.mu.Unlock()
	timer := time.NewTimer(time.Until(limit))
	defer timer.Stop()
	select {
	case <-o.ready:
	case <-timer.C:
		if limit == until {
			return ErrStalled
		}
	}
	return nil
}

// setDeadline bounds Write.
func (o *outflow) setDeadline(t time.Time) {
	o.mu.Lock()
	o.deadline = t
	o.mu.Unlock()
	o.ready.wake()
}
