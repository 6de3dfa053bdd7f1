package mux

import "sync/atomic"

// initialWindow is how many bytes either side may send on a substream before it gets more
// credit. spec: comms 5.2
const initialWindow = 256 << 10

// receiveWindow counts the bytes of one substream that the peer has sent and may send, so
// that at most the configured window is unread at any time.
//
// The library gives credit only when half of its window was read. A sender at a distance then
// stands still while the other half and its credit are on their way, and sends half a window
// in a round trip. So the library has twice the window, the credit that it gives goes nowhere,
// and this side gives credit of its own, when a quarter of the window was read. Then the
// library's window always has room for what the peer may send: it is renewed, by the Read
// before this side's credit, whenever less than half of it is left, which is a whole window.
type receiveWindow struct {
	size     uint64
	read     atomic.Uint64 // bytes that Read has taken
	promised atomic.Uint64 // bytes that the peer may have sent by now
	library  atomic.Uint64 // bytes that it may have sent as far as the library knows, or fewer
	sent     uint64        // bytes that the peer has sent; only the link's reader uses it

	take atomic.Pointer[func() bool] // see Stream.NotifyUnless
	over atomic.Bool                 // the substream is not live any more
}

func newReceiveWindow(size uint32) *receiveWindow {
	w := &receiveWindow{size: uint64(size)}
	w.promised.Store(initialWindow)
	w.library.Store(initialWindow)
	return w
}

// takes notes n bytes of the peer. It returns false if the peer had no credit for them.
func (w *receiveWindow) takes(n uint32) bool {
	w.sent += uint64(n)
	return w.sent <= w.promised.Load()
}

// credit returns the credit that is due, and promises it to the peer; 0 if it is less than
// least.
func (w *receiveWindow) credit(least uint64) uint32 {
	for {
		promised := w.promised.Load()
		due := w.read.Load() + w.size - promised
		if due < least || due == 0 {
			return 0
		}
		if w.promised.CompareAndSwap(promised, promised+due) {
			return uint32(due)
		}
	}
}

// libraryGives reports whether the library may give credit, and wait for its own writing
// goroutine, when n more bytes are read.
func (w *receiveWindow) libraryGives(n uint64) bool {
	return w.library.Load() <= w.read.Load()+n+w.size // half of its window
}

// took gives the peer credit for n bytes that were taken out of the library, once that is a
// quarter of the window.
func (st *Stream) took(n int, enqueue func(*outbox, *link, *header, []byte, writeOut)) {
	w := st.window
	w.read.Add(uint64(n))
	due := w.credit(w.size / 4)
	if due == 0 || st.link.swallow.Load() {
		return
	}
	h := newHeader(typeWindow, 0, st.id, due)
	enqueue(&st.link.outbox, st.link, &h, nil, writeSoon)
}

// receiving returns the window of a live substream; nil: there is none with that id. The last
// one is kept, so that most frames need no lock.
func (l *link) receiving(id uint32) *receiveWindow {
	r := &l.reader
	if r.window == nil || r.windowID != id || r.window.over.Load() {
		l.table.mu.Lock()
		defer l.table.mu.Unlock()
		st := l.table.lookup(id)
		if st == nil {
			return nil
		}
		r.window, r.windowID = st.window, id
	}
	return r.window
}
