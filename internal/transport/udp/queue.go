package udp

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/gamelan-p2p/gamelan/transport"
)

// queue holds the datagrams that wait to be sent: answers, and all others.
type queue struct {
	mu     sync.Mutex
	wake   sync.Cond
	empty  sync.Cond // something may have changed for those in flush
	lanes  [2]lane   // answers come first
	taken  bool      // the last datagram of take is being sent
	closed bool
}

// lane is the datagrams of one kind, oldest first.
type lane struct {
	list            []waiting
	bytes           int
	most, mostBytes int
}

type waiting struct {
	to       netip.AddrPort
	datagram []byte
}

func newQueue(o Options) *queue {
	q := &queue{}
	q.wake.L, q.empty.L = &q.mu, &q.mu
	bytes := cmp.Or(o.Bytes, 4<<20)
	q.lanes[0] = lane{most: cmp.Or(o.Answers, 1024), mostBytes: bytes}
	q.lanes[1] = lane{most: cmp.Or(o.Others, 1024), mostBytes: bytes}
	return q
}

func (q *queue) add(w waiting, answer bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lanes[1]
	if answer {
		l = &q.lanes[0]
	}
	switch {
	case q.closed:
		return transport.ErrClosed
	case len(l.list) >= l.most || l.bytes+len(w.datagram) > l.mostBytes:
		return fmt.Errorf("%w: %d of %d bytes", ErrFull, len(l.list), l.bytes)
	}
	l.list = append(l.list, w)
	l.bytes += len(w.datagram)
	q.wake.Signal()
	return nil
}

// take waits for the next datagram; ok is false after close. The one before has been sent.
func (q *queue) take() (w waiting, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken = false
	for {
		if q.closed {
			return waiting{}, false
		}
		for i := range q.lanes {
			l := &q.lanes[i]
			if len(l.list) == 0 {
				continue
			}
			w, l.list[0] = l.list[0], waiting{}
			if l.list = l.list[1:]; len(l.list) == 0 {
				l.list = nil
			}
			l.bytes -= len(w.datagram)
			q.taken = true
			return w, true
		}
		q.empty.Broadcast()
		q.wake.Wait()
	}
}

// flush waits until nothing is left to be sent, and reports false if the queue was closed or
// ctx ended before that.
func (q *queue) flush(ctx context.Context) bool {
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.empty.Broadcast()
	})
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch left := len(q.lanes[0].list) + len(q.lanes[1].list); {
		case q.closed:
			return false
		case left == 0 && !q.taken:
			return true
		case ctx.Err() != nil:
			return false
		}
		q.empty.Wait()
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.lanes = [2]lane{}
	q.wake.Broadcast()
	q.empty.Broadcast()
}
