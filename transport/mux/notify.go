package mux

// Notify has f called, once, when something arrives on the substream from now
// on: bytes, the peer's end, a reset, the end of the connection. When it has
// ended already, f is called at once. So an idle substream needs no goroutine
// that waits in Read. F is called on a goroutine of the session, or of whoever
// ended the substream; it must not block and must not use the session. A later
// Notify replaces f, nil takes it back, though it may be running by then.
//
// Of bytes that had arrived before, f says nothing. Whoever stops reading calls
// Notify first, and then Read with a deadline that is over: only if that finds
// nothing, f will be called for whatever comes.
func (st *Stream) Notify(f func()) {
	l := st.link
	l.table.mu.Lock()
	l.table.listen(st, f)
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

// listen sets who is told of the next arrival. The lock is held.
func (t *table) listen(st *Stream, f func()) {
	if st.arrived != nil {
		t.listening.Add(-1)
	}
	if st.arrived = f; f != nil {
		t.listening.Add(1)
	}
}

// notify tells whoever listens, if anybody does. The lock is not held.
func (st *Stream) notify() {
	t := st.link.table
	t.mu.Lock()
	f := st.arrived
	t.listen(st, nil)
	t.mu.Unlock()
	if f != nil {
		f()
	}
}

// arrived tells whoever listens for a frame that the library has dealt with: of
// the substream st, or else of the one with that id. If that was closed while
// the frame was on its way, it is dropped.
func (l *link) arrived(st *Stream, id uint32) {
	t := l.table
	if t.listening.Load() == 0 && t.lingering.Load() == 0 {
		return
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

// notifyAll tells everybody who listens.
func (l *link) notifyAll() {
	for _, st := range l.table.all() {
		st.notify()
	}
}
