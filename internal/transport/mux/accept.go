package mux

import "sync"

// acceptor hands the substreams of the peer to their owner: to Accept, or, from Handle on, to a
// function. Its lock keeps their order.
type acceptor struct {
	mu      sync.Mutex
	waiting []*Stream     // nobody has them
	came    waker         // wakes Accept; nil: it has not waited yet
	opened  func(*Stream) // of Handle
	ended   func(error)
	over    bool // no more will come
}

// Handle makes the session call opened for each substream of the peer, and ended, once, when no
// more will come: with the error that Accept would return. Substreams that arrived before the end
// are passed before it. Both are called on the goroutine that reads the connection, for what had
// come before on that of the caller; they must not block, and may use nothing of the session but
// Close and Reset of the substream. Nobody may call Accept any more.
func (s *Session) Handle(opened func(*Stream), ended func(error)) {
	a := &s.acceptor
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened, a.ended = opened, ended
	s.pass(a.waiting, func(ack header) error { return s.outbox.send(s, ack) })
	if a.waiting = nil; a.over {
		ended(s.Err())
	}
}

// Accept returns the next substream that the peer opened. Substreams that arrived before the end
// are returned before it. The error says why the session ended; for an offence it is a
// *[protocol.Violation]. One goroutine at a time may call it.
func (s *Session) Accept() (*Stream, error) {
	for a := &s.acceptor; ; <-a.came {
		a.mu.Lock()
		waiting, over := a.waiting, a.over
		if len(waiting) > 0 {
			a.waiting = waiting[1:]
		}
		if a.came == nil {
			a.came = newWaker()
		}
		a.mu.Unlock()
		switch {
		case len(waiting) > 0:
			s.accept(waiting[0], s.answer)
			return waiting[0], nil
		case over:
			return nil, s.Err()
		}
	}
}

// handOver hands over the substreams that have come, and the end of the reading. The reader calls
// it when the library has queued them all.
func (s *Session) handOver() {
	r, a := &s.reader, &s.acceptor
	a.mu.Lock()
	defer a.mu.Unlock()
	for range r.opened {
		_, _ = s.lib.AcceptStream() // it is over already: the library neither waits nor writes
	}
	if a.opened != nil {
		s.pass(r.opened, s.answer)
	} else {
		a.waiting = append(a.waiting, r.opened...)
		a.came.wake()
	}
	clear(r.opened)
	r.opened = r.opened[:0]
	if ends := r.ended && !a.over; ends && a.ended != nil {
		a.ended(s.Err())
	}
	a.over = r.ended
}

// pass passes substreams to the function of Handle. The acceptor's lock is held.
func (s *Session) pass(streams []*Stream, answer func(header) error) {
	for _, st := range streams {
		s.accept(st, answer)
		s.acceptor.opened(st)
	}
}

// accept counts a substream of the peer, and acknowledges it with the credit of the window.
func (s *Session) accept(st *Stream, answer func(header) error) {
	s.table.mu.Lock()
	s.table.unaccepted--
	waits := st.live && !st.peerOver && !s.swallow.Load()
	s.table.mu.Unlock()
	if !waits {
		return
	}
	if err := answer(newHeader(typeWindow, flagACK, st.id, st.in.opening())); err != nil {
		_ = s.fail(err)
	}
}
