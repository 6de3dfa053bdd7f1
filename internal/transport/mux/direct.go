package mux

import (
	"net"
	"time"
)

// tryConn is a connection that can write a frame of Noise without waiting, such as
// [github.com/gamelan-p2p/gamelan/internal/transport/noise.Conn].
type tryConn interface {
	CanTry() bool
	TryWrite(b []byte) (left bool, err error)
	Flush() error
}

func tryConnOf(c net.Conn) tryConn {
	if t, ok := c.(tryConn); ok && t.CanTry() {
		return t
	}
	return nil
}

// direct writes a frame of the library to the connection at once, past the outbox, and
// reports whether it did. It never waits, so the library's goroutine may call it: if
// something else waits to be written or is being written, or if others may want to go along,
// it leaves the frame to the outbox. What the connection does not take at once is written by
// the flush of the caller that waits for this frame.
func (l *link) direct(h *header, body []byte) bool {
	w := &l.writer
	if w.try == nil || headerLen+len(body) > len(frameBuffer{}) || !w.gather.alone(h.id()) || !l.outbox.idle() {
		return false
	}
	select {
	case w.lock <- struct{}{}:
	default:
		return false
	}
	defer func() { <-w.lock }()
	if w.left || l.swallow.Load() {
		return false
	}
	c := newChunk(headerLen+len(body), true)
	c.add(h, body)
	l.bound(time.Now())
	left, err := w.try.TryWrite(c.b)
	l.bytesOut.Add(uint64(len(c.b)))
	c.give()
	w.left = left
	if err != nil {
		l.failWrite(err)
	}
	return true
}

// rest writes what direct has left. The lock is held.
func (l *link) rest() {
	w := &l.writer
	if !w.left {
		return
	}
	w.left = false
	l.timed(func() error { return w.try.Flush() })
}
