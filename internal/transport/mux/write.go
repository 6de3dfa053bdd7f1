package mux

import (
	"runtime"
	"sync/atomic"
	"time"
)

// writer is the state of the writing half.
type writer struct {
	// lock is held over writes to the connection: a channel, because a
	// goroutine that waits for it may wait long.
	lock    chan struct{}
	bounded time.Time // when the write deadline was set; under the lock
	gather  gather

	// began is when the write began that the connection has not taken yet, as
	// nanoseconds since the session was made, plus one; 0 while there is none.
	began atomic.Int64
}

// deadlineSlack is the fraction of the write timeout, 1/64, by which a write may end too
// early, so that not every write has to set the deadline anew.
const deadlineSlack = 64

// Write accepts the library's frames, of which none has a body: it passes on pongs, and the SYNs
// of this side's substreams. After the end it discards everything.
func (w *wire) Write(b []byte) (int, error) {
	s := (*Session)(w)
	h := header(b) // a copy: the slice stays the library's
	switch {
	case s.swallow.Load():
	case h.kind() == typePing && s.withhold.Load().Load():
		s.pings.received.Add(-1) // it waits no longer
	case h.kind() == typePing:
		s.outbox.enqueue(s, &h, nil, (*outbox).start) // at most maxPings of them
	case h.flags()&flagSYN != 0:
		s.opened = newStream(s, h.id(), false)
		s.table.mu.Lock()
		s.table.reserved--
		s.add(s.opened)
		s.forget(h.id())
		s.table.mu.Unlock()
		h.setLength(s.opened.in.opening())
		s.outbox.enqueue(s, &h, nil, (*outbox).hold)
	}
	return len(b), nil
}

// writeData writes a data frame and returns when the connection has taken it, or never will, or the
// substream was reset. A small frame goes with what else waits; a large one waits for its turn where
// it is.
func (s *Session) writeData(st *Stream, h *header, body []byte) {
	switch {
	case len(body) > joinBelow:
		s.write(st, h, body)
	case s.writer.gather.yields(h.id()):
		s.outbox.awaitRoom(s, st)
		s.outbox.enqueue(s, h, body, nil)
		runtime.Gosched()
		s.writer.gather.yielded(s.write(st, nil, nil))
	case s.tryLockWriter():
		s.writeOut(h, body)
		<-s.writer.lock
	default: // somebody writes
		s.outbox.awaitRoom(s, st)
		s.outbox.enqueue(s, h, body, nil)
		s.write(st, nil, nil)
	}
}

// lockWriter waits until the connection is free for a write. It returns false after the end, and
// when st was reset.
func (s *Session) lockWriter(st *Stream) bool {
	if s.tryLockWriter() {
		return true
	}
	for st.gone() == nil {
		select {
		case s.writer.lock <- struct{}{}:
			return true
		case <-st.out.ready:
		case <-s.over:
			s.outbox.take()
			return false
		}
	}
	return false
}

func (s *Session) tryLockWriter() bool {
	select {
	case s.writer.lock <- struct{}{}:
		return true
	default:
		return false
	}
}

// write is writeOut after any other call of it. When it returns, everything that was in the outbox
// at its call, and h, is written, or never will be, or st was reset.
func (s *Session) write(st *Stream, h *header, body []byte) (count int) {
	if !s.lockWriter(st) {
		return 0
	}
	defer func() { <-s.writer.lock }()
	return s.writeOut(h, body)
}

// joinBelow is the size up to which the body of a frame is copied into the outbox.
const joinBelow = 1024

// writeOut writes the outbox out, and one more frame behind it, unless h is nil. Resets and
// pings go first: so the reset of a substream is written before the next one is opened, and the
// peer never counts more live substreams than this side. A ping proves nothing too early: the
// Write before it has returned, so its bytes are written. The lock is held.
func (s *Session) writeOut(h *header, body []byte) (count int) {
	waiting := s.outbox.take()
	// Counted first, or the peer's next ping could come before.
	s.pings.received.Add(-waiting.pongs)
	if h != nil {
		waiting.add(h, nil)
	}
	first := waiting.own
	for waiting.queue.head != nil {
		frames := waiting.queue.head.b[:waiting.queue.head.end]
		if waiting.queue.head.next == nil && len(body) > 0 {
			s.put(first, nil)
			s.put(frames, body)
		} else {
			s.put(first, frames)
		}
		first = nil
		waiting.queue.shift()
	}
	s.put(first, nil)
	return waiting.count
}

// put writes two parts to the connection, as one if they fit one frame of it, within the write
// deadline. The lock is held.
func (s *Session) put(head, body []byte) {
	if len(head) > 0 && len(body) > 0 && len(head)+len(body) > headerLen+MaxPiece {
		s.put(head, nil)
		head = nil
	}
	if len(head)+len(body) == 0 || s.swallow.Load() {
		return
	}
	now := time.Now()
	if now.Sub(s.writer.bounded) > s.cfg.WriteTimeout/deadlineSlack {
		s.writer.bounded = now
		s.conn.SetWriteDeadline(now.Add(s.cfg.WriteTimeout))
	}
	s.writer.began.Store(int64(now.Sub(s.made)) + 1)
	err := s.conn.WriteParts(head, body)
	s.writer.began.Store(0)
	if err != nil {
		s.failWrite(err)
		return
	}
	s.bytesOut.Add(uint64(len(head) + len(body)))
}

// sendGoAway returns when GoAway is written, after everything in the outbox.
func (s *Session) sendGoAway() {
	h := newHeader(typeGoAway, 0, 0, 0)
	s.write(nobody, &h, nil)
}

// sendLastGoAway sends GoAway to a peer whose connection ends, and waits only a moment for it.
func (s *Session) sendLastGoAway(why error) error {
	defer time.AfterFunc(holdBack, func() { _ = s.fail(why) }).Stop()
	s.sendGoAway()
	return why
}
