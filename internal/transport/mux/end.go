package mux

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// end begins the end of the connection: from now on writes are swallowed, and
// the reader stops at the next boundary. The first cause counts, except that
// an earlier failure of a write says more than the hang-up that followed.
func (s *Session) end(cause error) {
	s.ending.Do(func() {
		if errors.Is(cause, io.EOF) {
			cause = ErrHungUp // a substream's reader would take io.EOF for a FIN
		}
		s.endMu.Lock()
		if s.writeErr != nil && (cause == ErrHungUp || errors.Is(cause, io.ErrUnexpectedEOF)) {
			cause = s.writeErr
		}
		s.cause = ended(cause)
		s.swallow.Store(true)
		close(s.over)
		s.endMu.Unlock()
	})
	for _, st := range s.table.all() { // also if who ended it has not come that far
		st.sessionEnded(s.Err())
		st.notify()
	}
}

// Err returns nil while the session lives, and then the cause of its end, which wraps
// [ErrSessionEnded] or is a *[protocol.Violation].
func (s *Session) Err() error {
	s.endMu.Lock()
	defer s.endMu.Unlock()
	return s.cause
}

// broken returns the cause of the end, or the failed write that will be the cause.
func (s *Session) broken() error {
	if !s.swallow.Load() {
		return nil
	}
	s.endMu.Lock()
	defer s.endMu.Unlock()
	if s.cause != nil {
		return s.cause
	}
	return ended(s.writeErr)
}

// Close closes the connection. The library calls it for every end, Session.Close
// before it asks the library to stop.
func (w *wire) Close() error {
	s := (*Session)(w)
	s.closing.Do(func() {
		s.end(ErrHungUp) // the library closes it only after another end
		s.conn.Close()
	})
	return nil
}

// fail ends the session for an error, if it lives, and returns the cause of the end.
func (s *Session) fail(err error) error {
	s.end(err)
	(*wire)(s).Close()
	return s.Err()
}

// failWrite notes that a write failed. Bytes that the peer had sent before are still read,
// for at most a second.
func (s *Session) failWrite(err error) {
	s.endMu.Lock()
	first := s.writeErr == nil
	if first {
		switch {
		case isDeadline(err): // a substream's writer would take it for its own deadline
			s.writeErr = ErrWriteTimeout
		case errors.Is(err, io.EOF):
			s.writeErr = ErrHungUp
		default:
			s.writeErr = fmt.Errorf("write: %w", err)
		}
	}
	s.swallow.Store(true)
	s.endMu.Unlock()

	for _, st := range s.table.all() {
		st.out.ready.wake()
	}
	if first {
		time.AfterFunc(holdBack, func() { _ = s.fail(s.writeErr) })
	}
}
