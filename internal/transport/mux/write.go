package mux

import (
	"runtime"
	"sync/atomic"
	"time"
)

// writer is the state of the link's writing half.
type writer struct {
	// lock is held over writes to the connection: a channel, because a
	// goroutine that waits for it may wait long.
	lock    chan struct{}
	bounded time.Time // when the write deadline was set; under the lock
	gather  gather

	// began is when the write began that the connection has not taken yet, as
	// nanoseconds since the link was made, plus one; 0 while there is none.
	began atomic.Int64
}

// deadlineSlack is the fraction of the write timeout, 1/64, by which a write may end too
// early, so that not every write has to set the deadline anew.
const deadlineSlack = 64

// Write accepts the library's frames, of which none has a body: it passes on pongs, and the SYNs
// of this side's substreams. After the end it discards everything.
func (l *link) Write(b []byte) (int, error) {
	h := header(b) // a copy: the slice stays the library's
	switch {
	case l.swallow.Load():
	case h.kind() == typePing && l.withholds():
		l.pings.received.Add(-1) // it waits no longer
	case h.kind() == typePing:
		l.outbox.enqueue(l, &h, nil, writeSoon) // at most maxPings of them
	case h.flags()&flagSYN != 0:
		l.opened = newStream(l, h.id(), false)
		l.table.mu.Lock()
		l.table.reserved--
		l.add(l.opened)
		l.forget(h.id())
		l.table.mu.Unlock()
		h.setLength(l.opened.in.opening())
		l.outbox.enqueue(l, &h, nil, writeHeld)
	}
	return len(b), nil
}

// writeData writes a data frame and returns when the connection has taken it, or never will, or the
// substream was reset. A small frame goes with what else waits; a large one waits for its turn where
// it is.
func (l *link) writeData(st *Stream, h *header, body []byte) {
	switch {
	case len(body) > joinBelow:
		if l.lockWriter(st) {
			l.writeOut(h, body)
			<-l.writer.lock
		}
	case l.writer.gather.yields(h.id()):
		l.outbox.awaitRoom(l, st)
		l.outbox.enqueue(l, h, body, writeAwaited)
		runtime.Gosched()
		l.writer.gather.yielded(l.flush(st))
	case l.tryLockWriter():
		l.writeOut(h, body)
		<-l.writer.lock
	default: // somebody writes
		l.outbox.awaitRoom(l, st)
		l.outbox.enqueue(l, h, body, writeAwaited)
		l.flush(st)
	}
}

// lockWriter waits until the connection is free for a write. It returns false after the end, and
// when st was reset.
func (l *link) lockWriter(st *Stream) bool {
	if l.tryLockWriter() {
		return true
	}
	for st.gone() == nil {
		select {
		case l.writer.lock <- struct{}{}:
			return true
		case <-st.out.ready:
		case <-l.over:
			l.outbox.take()
			return false
		}
	}
	return false
}

func (l *link) tryLockWriter() bool {
	select {
	case l.writer.lock <- struct{}{}:
		return true
	default:
		return false
	}
}

// flush writes the outbox out, after any other call that is doing so. When it returns,
// everything that was in the outbox at its call is written, or never will be, or st was reset.
func (l *link) flush(st *Stream) (frames int) {
	if !l.lockWriter(st) {
		return 0
	}
	defer func() { <-l.writer.lock }()
	return l.writeOut(nil, nil)
}

// joinBelow is the size up to which the body of a frame is copied into the outbox.
const joinBelow = 1024

// writeOut writes the outbox out, and one more frame behind it, unless h is nil. Resets and
// pings go first: so the reset of a substream is written before the next one is opened, and the
// peer never counts more live substreams than this side. A ping proves nothing too early: the
// Write before it has returned, so its bytes are written. The lock is held.
func (l *link) writeOut(h *header, body []byte) (frames int) {
	waiting := l.outbox.take()
	// Counted first, or the peer's next ping could come before.
	l.pings.received.Add(-waiting.pongs)
	if h != nil {
		waiting.add(h, nil)
	}
	first := waiting.own
	for waiting.queue.head != nil {
		s, last := waiting.queue.head, waiting.queue.head.next == nil
		if last && len(body) > 0 {
			l.put(first, nil)
			l.put(s.b[:s.end], body)
		} else {
			l.put(first, s.b[:s.end])
		}
		first = nil
		waiting.queue.shift()
	}
	l.put(first, nil)
	return waiting.count
}

// put writes two parts to the connection, as one if they fit one frame of it, within the write
// deadline. The lock is held.
func (l *link) put(head, body []byte) {
	if len(head) > 0 && len(body) > 0 && len(head)+len(body) > headerLen+MaxPiece {
		l.put(head, nil)
		head = nil
	}
	if len(head)+len(body) == 0 || l.swallow.Load() {
		return
	}
	now := time.Now()
	if now.Sub(l.writer.bounded) > l.cfg.WriteTimeout/deadlineSlack {
		l.writer.bounded = now
		l.conn.SetWriteDeadline(now.Add(l.cfg.WriteTimeout))
	}
	l.writer.began.Store(int64(now.Sub(l.made)) + 1)
	err := l.conn.WriteParts(head, body)
	l.writer.began.Store(0)
	if err != nil {
		l.failWrite(err)
		return
	}
	l.bytesOut.Add(uint64(len(head) + len(body)))
}

// sendGoAway refuses substreams that the peer opens from now on, and returns when GoAway is
// written, after everything in the outbox: a ping is queued before that, or refused.
func (l *link) sendGoAway() {
	l.goingAway.Store(true)
	if h := newHeader(typeGoAway, 0, 0, 0); l.lockWriter(nobody) {
		l.writeOut(&h, nil)
		<-l.writer.lock
	}
}

// sendLastGoAway sends GoAway to a peer whose connection ends, and waits only a moment for it.
func (l *link) sendLastGoAway(why error) error {
	defer time.AfterFunc(holdBack, func() { _ = l.fail(why) }).Stop()
	l.sendGoAway()
	return why
}
