package mux

// Notify makes the session call f, once, when something arrives on the substream from now
// on: bytes, the peer's end, a reset, or the end of the connection. If the substream has
// ended already, f is called at once. So an idle substream needs no goroutine that waits in
// Read. f is called on a goroutine of the session, on one that ended the substream, or on one that
// reads another substream; it must not block, must not use the session, and must take no lock that a
// reader holds. A later Notify replaces f. A nil f removes it, but it may already be running.
//
// f is not called for bytes that arrived before. To stop reading, call Notify first, and
// then Read with a deadline that has passed: only if that Read finds nothing, f will be
// called for the next arrival.
//
// take, unless it is nil, may take the bytes of a frame by itself, with [Stream.TryRead]. It is
// called where f would be when a frame has come, and must not wait. If it returns true, f stays
// set; if it returns false, f is called. It may be called for bytes that were read already.
func (st *Stream) Notify(take func() bool, f func()) {
	if f == nil {
		st.listener.Store(nil)
		return
	}
	st.listener.Store(&listener{take, f})
	if _, ended := st.PeerEnded(); ended || st.state.Load() != alive {
		st.notify()
	}
}

// listener is what hears of the next arrival.
type listener struct {
	take func() bool // nil: none
	f    func()
}

// notify calls the function that is set, if any. Whoever notes an end calls it afterwards.
func (st *Stream) notify() {
	if heard := st.listener.Swap(nil); heard != nil {
		heard.f()
	}
}

// arrived calls the functions for a frame that has come.
func (st *Stream) arrived() {
	if heard := st.listener.Load(); heard != nil && (heard.take == nil || !heard.take()) {
		st.notify()
	}
}

// TryRead reads all that has arrived, without waiting for anything. ok is false, and nothing was
// read, if that is more than p has room for, if the peer's credit must wait, which only Read may,
// or if the peer's half or the substream has ended. Only the function of [Stream.Notify] may call it, and no Read or CloseWrite may go on meanwhile.
func (st *Stream) TryRead(p []byte) (n int, ok bool) {
	f := &st.in
	f.mu.Lock()
	if f.end != nil || f.unread > len(p) || f.owed(f.unread) >= f.window/4 && st.session.outbox.full() {
		f.mu.Unlock()
		return 0, false
	}
	n, due := f.take(p)
	f.mu.Unlock()
	st.give(due)
	return n, true
}
