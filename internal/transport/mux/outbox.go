package mux

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// holdLimit is how long a held frame waits for one to go with it.
const holdLimit = time.Millisecond

// errBusy ends a connection whose peer provokes resets and reads none.
var errBusy = errors.New("the peer does not read what it provokes")

// outbox holds the frames that wait to be written: SYNs, ACKs, FINs, credit, pongs and small data
// frames in their order, and resets and pings, which go first.
//
// Write and CloseWrite wait for their frames, and write the outbox out. A SYN is held, since the
// first bytes of its substream follow at once as a rule. All other frames are written by a
// goroutine of [Session.RunOn], so that their callers do not wait for a connection that takes
// nothing.
type outbox struct {
	mu      sync.Mutex
	run     func(f func()) // see Session.RunOn
	queue   batch
	emptied chan struct{} // closed when the queue is taken; nil without waiters
	running bool          // the goroutine writes, or is about to
	stopped bool
	holding bool        // there is a held frame, and the timer runs
	holdEnd *time.Timer // made with the first held frame
	wg      sync.WaitGroup
}

// batch is a run of frames.
type batch struct {
	own   []byte   // of the kinds that go first
	queue segments // all others, whole frames in each segment
	count int      // of those
	marks []uint32 // substreams whose SYN or FIN is among those
	pongs int32    // among those
}

// add appends a frame with at most joinBelow bytes of body.
func (b *batch) add(h *header, body []byte) {
	t := b.queue.tail
	if n := headerLen + len(body); t == nil {
		t = b.queue.extend(4 * n) // often only an acknowledgement waits
	} else if len(t.b)-t.end < n {
		t = b.queue.extend(largeSegment)
	}
	t.end += copy(t.b[t.end:], h[:])
	t.end += copy(t.b[t.end:], body)
	b.count++
	switch {
	case h.kind() == typePing:
		b.pongs++
	case h.flags()&(flagSYN|flagFIN) != 0:
		b.marks = append(b.marks, h.id())
	}
}

// awaitRoom waits while maxControl frames wait, at most until st was reset. It comes before each
// frame that a peer can cause any number of while it reads nothing.
func (o *outbox) awaitRoom(s *Session, st *Stream) {
	for room := o.room(false); room != nil && st.gone() == nil; room = o.room(false) {
		select {
		case <-room:
		case <-st.out.ready:
		case <-s.over:
			return
		}
	}
}

// full reports whether awaitRoom would wait.
func (o *outbox) full() bool { return o.room(false) != nil }

// enqueue queues a frame. It never waits. By says who writes it: start, hold, or nil for the
// caller, which waits for it.
func (o *outbox) enqueue(s *Session, h *header, body []byte, by func(*outbox, *Session)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue.add(h, body); by != nil {
		by(o, s)
	}
}

// hold has the outbox written out after holdLimit, unless it is before. The lock is held.
func (o *outbox) hold(s *Session) {
	if o.holding || o.stopped {
		return
	}
	if o.holding = true; o.holdEnd != nil {
		o.holdEnd.Reset(holdLimit)
		return
	}
	o.holdEnd = time.AfterFunc(holdLimit, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.holding {
			o.holding = false
			o.start(s)
		}
	})
}

// start has a goroutine write the outbox out, if none does. The lock is held.
func (o *outbox) start(s *Session) {
	if o.running || o.stopped {
		return
	}
	o.running = true
	o.wg.Add(1)
	o.run(func() {
		defer o.wg.Done()
		for o.more() {
			s.write(nobody, nil, nil)
		}
	})
}

// send queues a frame that goes first, but a reset behind a SYN or FIN that still waits: a reset of
// a substream that the peer does not know would open it for the peer alone, and one before the end
// would be read for it. No ping is sent after GoAway: the peer closes when it reads GoAway, and
// unread bytes would turn its close into a reset.
func (o *outbox) send(s *Session, h header) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case h.kind() == typePing && s.goingAway.Load():
		return ErrGoingAway
	case h.flags()&flagRST != 0 && slices.Contains(o.queue.marks, h.id()):
		o.queue.add(&h, nil)
	case len(o.queue.own) >= maxControl*headerLen:
		return errBusy
	default:
		o.queue.own = append(o.queue.own, h[:]...)
	}
	o.start(s)
	return nil
}

// answer sends a frame that the peer has provoked: the reset of a substream that the library
// has not seen, or a window update for dropped bytes. The reader calls it, which slows down a
// peer that provokes such frames faster than they can be written. After a second without
// progress the connection ends.
func (s *Session) answer(h header) error {
	err := s.outbox.send(s, h)
	if err != errBusy {
		return err
	}
	defer time.AfterFunc(holdBack, func() { _ = s.fail(errBusy) }).Stop()
	for ; err == errBusy; err = s.outbox.send(s, h) {
		for room := s.outbox.room(true); room != nil; room = s.outbox.room(true) {
			select {
			case <-room:
			case <-s.over:
				return ErrHungUp
			}
		}
	}
	return err
}

// room returns a channel that closes when the queue is emptied, nil if there is room for one more
// frame, of the kinds that go first or of the others.
func (o *outbox) room(first bool) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if first && len(o.queue.own) < maxControl*headerLen || !first && o.queue.count < maxControl {
		return nil
	}
	if o.emptied == nil {
		o.emptied = make(chan struct{})
	}
	return o.emptied
}

// take empties the queue.
func (o *outbox) take() batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.queue
	o.queue = batch{}
	if o.holding {
		o.holding = false
		o.holdEnd.Stop()
	}
	if o.emptied != nil {
		close(o.emptied)
		o.emptied = nil
	}
	return b
}

// more reports whether the goroutine has to go on.
func (o *outbox) more() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = len(o.queue.own) > 0 || o.queue.queue.head != nil
	return o.running
}

// stop waits for the goroutine, if there is one; the connection is closed.
func (o *outbox) stop() {
	o.mu.Lock()
	o.stopped = true // for holdEnd as well
	o.mu.Unlock()
	o.wg.Wait()
}
