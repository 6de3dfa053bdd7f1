package mux

// Notify makes the session call f, once, when something arrives on the substream from now
// on: bytes, the peer's end, a reset, or the end of the connection. If the substream has
// ended already, f is called at once. So an idle substream needs no goroutine that waits in
// Read. f is called on a goroutine of the session, or on the one that ended the substream; it
// must not block and must not use the session. A later Notify replaces f. Notify(nil) removes
// it, but f may already be running.
//
// f is not called for bytes that arrived before. To stop reading, call Notify first, and
// then Read with a deadline that has passed: only if that Read finds nothing, f will be
// called for the next arrival.
func (st *Stream) Notify(f func()) { st.NotifyUnless(nil, f) }

// NotifyUnless is Notify with a function that may take the bytes of a frame by itself, with
// [Stream.TryRead]. take is called on the session's goroutine when a data frame has come without
// flags, and must not wait. If it returns true, f stays set; if it returns false, f is called. It
// may be called for bytes that were read already.
func (st *Stream) NotifyUnless(take func() bool, f func()) {
	l := st.link
	l.table.mu.Lock()
	l.table.listen(st, f)
	st.window.take.Store(nil)
	if take != nil {
		st.window.take.Store(&take)
	}
	over := st.finHanded || st.state.Load() != alive
	l.table.mu.Unlock()
	select {
	case <-l.over:
		over = true
	default:
	}
	if over {
		st.notify()
	}
}

// listen sets the function for the next arrival. The lock is held.
func (t *table) listen(st *Stream, f func()) {
	if st.arrived != nil {
		t.listening.Add(-1)
	}
	if st.arrived = f; f != nil {
		t.listening.Add(1)
	}
}

// notify calls the function that is set, if any. The lock is not held.
func (st *Stream) notify() {
	t := st.link.table
	t.mu.Lock()
	f := st.arrived
	t.listen(st, nil)
	st.window.take.Store(nil)
	t.mu.Unlock()
	if f != nil {
		f()
	}
}

// arrived calls the function for a frame that the library has handled: of the substream st,
// or else of the one with that id. If that substream was closed meanwhile, arrived drops its
// bytes.
func (l *link) arrived(st *Stream, id uint32) {
	t := l.table
	if t.listening.Load() == 0 && t.lingering.Load() == 0 {
		return
	}
	if r := &l.reader; st == nil && r.windowID == id { // a frame without flags
		if take := r.window.take.Load(); take != nil && (*take)() {
			return
		}
	}
	t.mu.Lock()
	if st == nil {
		st = t.streams[id]
	}
	lingers := st != nil && st.lingers
	t.mu.Unlock()
	if lingers {
		go st.empty()
	}
	if st != nil {
		st.notify()
	}
}

// notifyAll calls all functions that are set.
func (l *link) notifyAll() {
	for _, st := range l.table.all() {
		st.notify()
	}
}

// TryRead reads all that has arrived, without waiting for anything. ok is false, and nothing was
// read, if that is more than p has room for, if credit for the peer is due that only Read may
// give, or if the substream has ended. Only the function of [Stream.NotifyUnless] may call it,
// and no Read or CloseWrite may go on meanwhile.
func (st *Stream) TryRead(p []byte) (n int, ok bool) {
	w := st.window
	unread := w.sent - w.read.Load()
	switch {
	case st.state.Load() >= lingering:
		return 0, false
	case unread == 0:
		return 0, true // the library's Read would wait
	case unread > uint64(len(p)), w.libraryGives(unread):
		return 0, false
	}
	n, _ = st.lib.Read(p)
	if n > 0 {
		st.bytesIn.Add(uint64(n))
		st.took(n, (*outbox).enqueueNow)
		st.link.session.touched()
	}
	return n, n > 0
}
