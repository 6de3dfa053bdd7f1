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
