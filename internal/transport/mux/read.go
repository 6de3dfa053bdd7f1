package mux

import (
	"fmt"
	"io"
	"time"
)

// reader is the state of the link's reading half. Only the library's reading
// goroutine touches it.
type reader struct {
	running bool
	head    header // the peer's header as far as it has arrived
	have    int
	hand    header  // a header on its way to the library
	out     []byte  // the rest of hand
	rest    uint32  // of the frame's body, for the library
	skip    uint32  // bytes of a body that the library must not see
	fin     *Stream // its FIN follows when rest is through
	answer  *header // for the peer, to be sent outside the lock
	heard   *Stream // of the frame in hand, when its flags said which; or
	heardID uint32  // of its data; 0: none
	ended   bool

	window   *receiveWindow // of the last data frame without flags, which came on
	windowID uint32         // this substream
}

// Read returns the peer's frames to the library. It never returns more than the rest of one
// frame, so a call at a frame boundary proves that the library has handled everything before.
// There, frames can be changed, added and omitted.
func (l *link) Read(p []byte) (int, error) {
	r := &l.reader
	if !r.running {
		<-l.started
		select {
		case <-l.released:
		case <-l.over: // the end of a session that was held
		}
		r.running = true
	}
	for {
		if r.heardID != 0 && r.boundary() {
			st, id := r.heard, r.heardID
			r.heard, r.heardID = nil, 0
			l.arrived(st, id)
		}
		switch {
		case len(r.out) > 0:
			n := copy(p, r.out)
			r.out = r.out[n:]
			return n, nil

		case r.rest > 0:
			if r.ended {
				// The library takes it for the end of this frame, keeps what
				// there is, and comes back at what it takes for a boundary.
				r.rest = 0
				return 0, io.EOF
			}
			n, err := l.receive(p[:min(uint32(len(p)), r.rest)])
			r.rest -= uint32(n)
			if n > 0 {
				return n, nil
			}
			l.stop(cut(err))

		case r.skip > 0 && !r.ended:
			n, err := l.receive(p[:min(uint32(len(p)), r.skip)])
			r.skip -= uint32(n)
			l.stop(cut(err))

		case r.ended:
			l.awaitAccepted()
			return 0, io.EOF

		case r.fin != nil:
			// A FIN that came with a body: only now is the body complete.
			l.table.mu.Lock()
			if st := r.fin; st.live {
				r.give(newHeader(typeData, st.remoteFIN(), st.id, 0))
			}
			l.table.mu.Unlock()
			r.fin = nil

		case l.injecting.Load() > 0:
			r.give(l.injected())

		case l.table.churn.untilSet.Load() && !l.swallow.Load():
			l.holdBackReading()

		default:
			n, err := l.receive(r.head[r.have:])
			r.have += n
			if r.have == headerLen {
				r.have = 0
				err = l.frame(r.head)
			} else if r.have > 0 {
				err = cut(err)
			}
			l.stop(err)
		}
	}
}

// boundary reports whether the library has read all of the last frame.
func (r *reader) boundary() bool {
	return len(r.out) == 0 && r.rest == 0 && r.skip == 0 && r.fin == nil
}

// stop ends the reading if there is an error.
func (l *link) stop(err error) {
	if err != nil {
		l.reader.ended = true
		l.end(err)
	}
}

// cut turns the end of the connection inside a frame into an error.
func cut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("inside a frame: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// give sets the next header for the library.
func (r *reader) give(h header) {
	r.hand = h
	r.out = r.hand[:]
}

// receive reads from the connection. It returns no bytes and no error when the
// wait was interrupted, and an error only when the connection is over.
func (l *link) receive(p []byte) (int, error) {
	select {
	case <-l.over: // by a failure on our side
		return 0, io.EOF
	default:
	}
	n, err := l.conn.Read(p)
	if n > 0 {
		l.bytesIn.Add(uint64(n))
		return n, nil
	}
	if err != nil && isDeadline(err) {
		err = l.woken()
	}
	return 0, err
}

// frame handles one header of the peer and decides what the library sees of it. An error
// ends the connection.
func (l *link) frame(h header) error {
	r := &l.reader
	if h.version() != 0 || h.kind() > typeGoAway {
		return violation(fmt.Errorf("%w: %x", ErrBadFrame, h[:]))
	}
	switch h.kind() {
	case typeGoAway:
		return &GoAwayError{Code: h.length()}
	case typePing:
		if h.flags()&flagSYN == 0 {
			l.pings.answered(h.length())
			return nil
		}
		if l.pings.received.Add(1) > maxPings {
			return violation(ErrTooManyPings)
		}
		r.give(h)
		return nil
	}
	l.heardAt.Store(int64(time.Since(l.made)))
	if h.kind() == typeWindow && h.length() > 0 {
		l.table.granted(h.id())
	}
	if h.flags() == 0 && (h.body() == 0 || l.table.lingering.Load() == 0) {
		if h.body() > 0 {
			w := l.receiving(h.id())
			if w == nil {
				r.skip = h.body() // the library may still keep it
				return nil
			}
			if !w.takes(h.body()) {
				return violation(ErrWindowExceeded)
			}
			r.rest, r.heardID = h.body(), h.id()
		}
		r.give(h)
		return nil
	}
	if err := l.flagged(h); err != nil {
		return err
	}
	if why := l.churned(); why != nil {
		return l.sendLastGoAway(why)
	}
	if r.answer == nil {
		return nil
	}
	answer := *r.answer
	r.answer = nil
	return l.answer(answer)
}

// flagged handles a frame that opens, acknowledges or ends a substream, or whose body may be
// for a substream that lingers.
func (l *link) flagged(h header) error {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &l.reader
	flags, id := h.flags(), h.id()

	if flags&flagSYN != 0 {
		if id == 0 || t.ours(id) {
			return violation(fmt.Errorf("%w: stream %d", ErrBadStreamID, id))
		}
		if t.streams[id] != nil {
			return violation(fmt.Errorf("%w: stream %d", ErrDuplicate, id))
		}
		if l.goingAway || t.liveInbound >= t.inbound || t.live+t.reserved+1 >= t.max || t.unaccepted >= backlog {
			// The peer's fault only beyond its own limit. The last condition
			// is for what it opened and dropped before Accept could return it.
			if !l.goingAway && t.liveInbound >= t.inbound && t.refuse(time.Now()) {
				return violation(ErrTooManyRefused)
			}
			if !l.goingAway {
				t.churn.count(time.Now())
			}
			reset := newHeader(typeData, flagRST, id, 0)
			r.skip, r.answer = h.body(), &reset
			return nil
		}
		t.add(newStream(l, id, true))
	}

	st := t.lookup(id)
	if st == nil {
		// Unknown or over. The library may not have forgotten it yet: it would keep
		// a body, and an end that it does not expect would end the session.
		if r.skip = h.body(); r.skip == 0 {
			h.setFlags(0)
			r.give(h)
		}
		return nil
	}

	if st.lingers && h.body() > 0 {
		if h.body() > l.cfg.Window {
			return violation(ErrWindowExceeded)
		}
		r.skip = h.body()
		r.answer = st.dropped(h.body(), flags)
		if flags == 0 {
			return nil
		}
		h.setLength(0)
	}
	if !st.window.takes(h.body()) {
		return violation(ErrWindowExceeded)
	}
	if flags&(flagFIN|flagRST) != 0 || h.body() > 0 {
		r.heard, r.heardID = st, id
	}
	keep := flags & flagSYN
	if !st.inbound && !st.acked && flags&(flagACK|flagFIN|flagRST) != 0 {
		// An end without ACK would leave the library's entry of the open
		// behind; a second ACK, or one for an inbound substream, would free
		// the entry of another.
		st.acked = true
		keep |= flagACK
	}
	switch {
	case flags&flagRST != 0:
		// The library would drop what was not read yet, so it sees an end.
		if !st.finHanded {
			keep |= flagFIN
		}
		st.remoteReset()
	case flags&flagFIN != 0 && !st.finHanded:
		if h.body() > 0 {
			r.fin = st
		} else {
			keep |= st.remoteFIN()
		}
	}
	h.setFlags(keep)
	r.rest = h.body()
	r.give(h)
	return nil
}
