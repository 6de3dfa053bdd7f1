package mux

import "sync"

// acceptor hands the substreams of the peer to their owner: to Accept, or, from Handle on, to a
// function. Its lock keeps their order.
type acceptor struct {
	mu      sync.Mutex
	waiting []*Stream // nobody has them
	changed chan struct{}
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
	l, a := s.link, &s.link.acceptor
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range a.waiting {
		l.accept(st, func(ack header) error { return l.outbox.send(l, ack, nil) })
		opened(st)
	}
	a.waiting, a.opened, a.ended = nil, opened, ended
	if a.over {
		ended(l.err())
	}
}

// Accept returns the next substream that the peer opened. Substreams that arrived before the end
// are returned before it. The error says why the session ended; for an offence it is a
// *[protocol.Violation].
func (s *Session) Accept() (*Stream, error) {
	for {
		st, changed := s.link.acceptor.next()
		switch {
		case st != nil:
			s.link.accept(st, s.link.answer)
			return st, nil
		case changed == nil:
			return nil, s.link.err()
		}
		<-changed
	}
}

// next returns the substream that has waited longest, or what closes when there is another one or
// no more will come; neither when no more will come.
func (a *acceptor) next() (*Stream, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) > 0 {
		st := a.waiting[0]
		a.waiting = a.waiting[1:]
		return st, nil
	}
	if a.changed == nil && !a.over {
		a.changed = make(chan struct{})
	}
	return nil, a.changed
}

// handOver hands over the substreams that have come. The reader calls it when the library has
// queued them all.
func (l *link) handOver(streams []*Stream) {
	for _, st := range streams {
		_, _ = l.lib.AcceptStream() // it is over already: the library neither waits nor writes
		if opened := l.acceptor.put(st); opened != nil {
			l.accept(st, l.answer)
			opened(st)
		}
	}
}

// put has a substream wait for Accept or Handle, or returns the function that takes it.
func (a *acceptor) put(st *Stream) (opened func(*Stream)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened == nil {
		a.waiting = append(a.waiting, st)
		a.change()
	}
	return a.opened
}

// allOpened notes that no more substreams will come. The reader calls it, or who knows that the
// reader has ended.
func (l *link) allOpened() {
	a := &l.acceptor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.over = true
	if a.ended != nil {
		a.ended(l.err())
	}
	a.change()
}

// change wakes Accept. The lock is held.
func (a *acceptor) change() {
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// accept counts a substream of the peer, and acknowledges it with the credit of the window.
func (l *link) accept(st *Stream, answer func(header) error) {
	if !l.table.accept(st) || l.swallow.Load() {
		return
	}
	if err := answer(newHeader(typeWindow, flagACK, st.id, st.in.opening())); err != nil {
		_ = l.fail(err)
	}
}
