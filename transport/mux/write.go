package mux

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the state of the link's writing half.
type writer struct {
	// lock is held over writes to the connection: a channel, because a
	// goroutine that waits for it may wait long.
	lock    chan struct{}
	bounded time.Time // when the write deadline was set; under the lock

	// began is when the write began that the connection has not taken yet, as
	// nanoseconds since the link was made, plus one; 0 while there is none.
	began atomic.Int64

	// The header that waits for its body. Only the library's writing goroutine
	// touches it. It is not on the wire, so other frames may go first.
	head    header
	waiting bool
}

// deadlineSlack is the part of the write timeout by which a write may end too
// early, so that not every write has to set the deadline anew.
const deadlineSlack = 64

// frameBuffer holds the largest frame that leaves.
type frameBuffer [headerLen + MaxPiece]byte

var frameBuffers = sync.Pool{New: func() any { return new(frameBuffer) }}

// Write takes the library's frames: a header of 12 bytes in one call, the body
// of a data frame in the next. Both leave as one. After the end everything is
// swallowed, so that the library can still accept what had arrived.
func (l *link) Write(b []byte) (int, error) {
	w := &l.writer
	if l.swallow.Load() {
		w.waiting = false
		return len(b), nil
	}
	if w.waiting {
		w.waiting = false
		l.writeJoined(&w.head, b)
		return len(b), nil
	}
	h := header(b) // a copy: the slice stays the library's
	if h.kind() == typeData && h.length() > 0 {
		w.head, w.waiting = h, true
		return len(b), nil
	}
	if l.leaving(&h) {
		l.write(h[:])
	}
	return len(b), nil
}

// leaving makes of a header without body what the peer shall see, and tells
// whether it shall see anything.
func (l *link) leaving(h *header) bool {
	if h.kind() == typePing {
		// Counted first, or the peer's next ping could come before.
		l.pings.received.Add(-1)
		return true
	}
	flags := h.flags()
	if flags == 0 || h.kind() == typeGoAway {
		return true
	}
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if flags&flagSYN != 0 {
		t.reserved--
		t.add(&Stream{link: l, id: h.id()})
	}
	st := t.lookup(h.id())
	switch {
	case st == nil:
		// Over meanwhile: an end of ours would surprise nobody, but help nobody.
		return flags&(flagFIN|flagRST) == 0
	case flags&flagRST != 0:
		// The library refuses a substream of the peer.
		t.end(st)
		delete(t.streams, st.id)
		t.settled()
	case flags&flagFIN != 0:
		st.localFIN()
		if h.length() == 0 {
			// The older peers do not wake their reader for an end on a window
			// update. spec: comms 5.3, 143
			h[1] = typeData
		}
	}
	return true
}

// writeJoined writes a header and its body as one.
func (l *link) writeJoined(h *header, body []byte) {
	if headerLen+len(body) > len(frameBuffer{}) {
		l.write(append(h[:], body...))
		return
	}
	buf := frameBuffers.Get().(*frameBuffer)
	n := copy(buf[:], h[:])
	n += copy(buf[n:], body)
	l.write(buf[:n])
	frameBuffers.Put(buf)
}

// write writes whole frames, behind those of our own that wait: so the reset of
// a substream always leaves before the next one is opened, and the peer never
// counts more live ones than we do.
func (l *link) write(b []byte) {
	select {
	case l.writer.lock <- struct{}{}:
	default:
		select {
		case l.writer.lock <- struct{}{}:
		case <-l.over:
			l.control.take().done()
			return
		}
	}
	defer func() { <-l.writer.lock }()
	waiting := l.control.take()
	if len(waiting.frames) > 0 {
		if len(b) < joinBelow {
			b = append(waiting.frames, b...)
		} else {
			l.put(waiting.frames)
		}
	}
	l.put(b)
	waiting.done()
}

// joinBelow is the size up to which a frame is copied to save a write.
const joinBelow = 1024

// put writes to the connection, within the write deadline. The lock is held.
func (l *link) put(b []byte) {
	if len(b) == 0 || l.swallow.Load() {
		return
	}
	now := time.Now()
	if now.Sub(l.writer.bounded) > l.cfg.WriteTimeout/deadlineSlack {
		l.writer.bounded = now
		l.conn.SetWriteDeadline(now.Add(l.cfg.WriteTimeout))
	}
	l.writer.began.Store(int64(now.Sub(l.made)) + 1)
	n, err := l.conn.Write(b)
	l.writer.began.Store(0)
	l.bytesOut.Add(uint64(n))
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		l.failWrite(err)
	}
}
