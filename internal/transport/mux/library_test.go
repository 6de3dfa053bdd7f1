package mux

import "reflect"

// unacknowledged is the number of entries of own opens in the library, which
// it keeps for ever when it is not told of their end. It has no method for it.
func (s *Session) unacknowledged() int {
	return reflect.ValueOf(s.lib).Elem().FieldByName("inflight").Len()
}

// slots is the number of own opens that the library counts as waiting.
func (s *Session) slots() int {
	return reflect.ValueOf(s.lib).Elem().FieldByName("synCh").Len()
}

// libraryStreams is the number of streams that the library knows.
func (s *Session) libraryStreams() int { return s.lib.NumStreams() }

// waiting is how many bytes of frames wait, resets and pings of this side not among them.
func (o *outbox) waiting() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := o.queue.queue.head; s != nil; s = s.next {
		n += s.end
	}
	return n
}

// Done returns a channel that is closed when the session ends.
func (s *Session) Done() <-chan struct{} { return s.over }
