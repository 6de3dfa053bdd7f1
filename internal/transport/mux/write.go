package mux

import (
	"io"
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
	spare   []chunk   // of a batch that is written; under the lock
	left    bool      // direct has left a part of a frame; under the lock
	try     tryConn   // nil if the connection cannot
	gather  gather

	// began is when the write began that the connection has not taken yet, as
	// nanoseconds since the link was made, plus one; 0 while there is none.
	began atomic.Int64

	// The header that waits for its body. Only the library's writing goroutine
	// touches it. It is in no queue yet, so other frames may go first.
	head    header
	waiting bool
}

// deadlineSlack is the fraction of the write timeout, 1/64, by which a write may end too
// early, so that not every write has to set the deadline anew.
const deadlineSlack = 64

// Write accepts the library's frames: a header of 12 bytes in one call, the body of a data
// frame in the next. Both are written together with the outbox. After the end Write discards
// everything, so that the library can still accept substreams that had arrived.
func (l *link) Write(b []byte) (int, error) {
	w := &l.writer
	if l.swallow.Load() {
		w.waiting = false
		return len(b), nil
	}
	if w.waiting {
		w.waiting = false
		by := writeSoon
		if l.table.completes(w.head.id(), len(b)) {
			by = writeAwaited
			if l.direct(&w.head, b) {
				return len(b), nil
			}
		}
		l.outbox.enqueue(l, &w.head, b, by)
		return len(b), nil
	}
	h := header(b) // a copy: the slice stays the library's
	if h.kind() == typeData && h.length() > 0 {
		w.head, w.waiting = h, true
		return len(b), nil
	}
	if l.leaving(&h) {
		l.outbox.enqueue(l, &h, nil, h.writtenBy())
	}
	return len(b), nil
}

// writtenBy returns who writes out a frame without body: CloseWrite waits for the FIN.
func (h header) writtenBy() writeOut {
	switch {
	case h.kind() == typePing:
		return writeSoon
	case h.flags()&flagFIN != 0:
		return writeAwaited
	case h.flags()&(flagSYN|flagRST) == flagSYN:
		return writeHeld
	}
	return writeSoon
}

// leaving changes a header without body to the form for the peer, and reports whether to
// send it at all.
func (l *link) leaving(h *header) bool {
	flags := h.flags()
	switch {
	case h.kind() == typePing && flags&flagACK != 0 && l.withholds():
		l.pings.received.Add(-1) // it waits no longer
		return false
	case flags == 0 && h.kind() == typeWindow:
		l.libraryGave(h)
		return false // receiveWindow gives the credit
	case flags == 0 || h.kind() >= typePing:
		return true
	}
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if flags&flagSYN != 0 {
		t.reserved--
		t.add(newStream(l, h.id(), false))
	}
	st := t.lookup(h.id())
	if h.kind() == typeWindow && h.length() > 0 { // of a SYN or ACK
		gave := h.length()
		h.setLength(0)
		if st != nil {
			st.window.library.Add(uint64(gave))
			h.setLength(st.window.credit(0))
		}
	}
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

// libraryGave notes credit that the library gives.
func (l *link) libraryGave(h *header) {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	if st := l.table.streams[h.id()]; st != nil {
		st.window.library.Add(uint64(h.length()))
	}
}

// flushTogether is flush for a substream whose frame others may join; see [gather].
func (l *link) flushTogether(id uint32) {
	g := &l.writer.gather
	if !g.yields(id) {
		l.flush()
		return
	}
	runtime.Gosched()
	g.yielded(l.flush())
}

// flush writes the outbox out, after any other call that is doing so. When it returns,
// everything that was in the outbox at its call is written, or never will be. Frames of this
// package go first: so the reset of a substream is written before the next one is opened, and
// the peer never counts more live substreams than this side. This side's new pings go between
// two chunks; otherwise a ping would wait on a slow link for the whole outbox. They prove
// nothing too early: the Write before such a ping has returned, so its bytes are written.
func (l *link) flush() (frames int) {
	w := &l.writer
	select {
	case w.lock <- struct{}{}:
	default:
		select {
		case w.lock <- struct{}{}:
		case <-l.over:
			l.outbox.take(nil).done()
			return 0
		}
	}
	defer func() { <-w.lock }()
	l.rest()
	waiting := l.outbox.take(w.spare)
	// Counted first, or the peer's next ping could come before.
	l.pings.received.Add(-waiting.pongs)
	own := waiting.frames
	for i := range waiting.library {
		c := &waiting.library[i]
		if i > 0 {
			own = l.outbox.takePings()
		}
		if len(own) > 0 && len(c.b) < joinBelow {
			l.put(append(own, c.b...))
		} else {
			l.put(own)
			l.put(c.b)
		}
		own = nil
		c.give()
	}
	l.put(own)
	l.put(waiting.goodbye)
	w.spare = waiting.library[:0]
	waiting.done()
	return waiting.count
}

// joinBelow is the size up to which a frame is copied into a common write.
const joinBelow = 1024

// put writes to the connection, within the write deadline. The lock is held.
func (l *link) put(b []byte) {
	if len(b) == 0 || l.swallow.Load() {
		return
	}
	l.timed(func() error {
		n, err := l.conn.Write(b)
		l.bytesOut.Add(uint64(n))
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		return err
	})
}

// timed calls write within the write deadline, so that others see since when it stands
// still. The lock is held.
func (l *link) timed(write func() error) {
	now := time.Now()
	l.bound(now)
	l.writer.began.Store(int64(now.Sub(l.made)) + 1)
	err := write()
	l.writer.began.Store(0)
	if err != nil {
		l.failWrite(err)
	}
}

// bound sets the write deadline. The lock is held.
func (l *link) bound(now time.Time) {
	if now.Sub(l.writer.bounded) > l.cfg.WriteTimeout/deadlineSlack {
		l.writer.bounded = now
		l.conn.SetWriteDeadline(now.Add(l.cfg.WriteTimeout))
	}
}

// sayGoodbye refuses substreams that the peer opens from now on, and returns when GoAway is
// written, after all frames of the library.
func (l *link) sayGoodbye() error {
	l.table.mu.Lock()
	l.goingAway = true
	l.table.mu.Unlock()
	written := make(chan struct{})
	if err := l.outbox.send(l, newHeader(typeGoAway, 0, 0, 0), written); err != nil {
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
