package mux

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// reader is the state of the reading half. Only who reads the connection touches it: the
// library's reading goroutine, or a Read that leads.
type reader struct {
	running bool
	ended   bool
	head    header              // the peer's header as far as it has arrived
	have    uint8               // bytes of it
	hand    [2 * headerLen]byte // headers on their way to the library
	out     []byte              // the rest of hand
	rest    uint32              // of the frame's body, for the substream into
	skip    uint32              // bytes of a body that nobody wants
	into    *Stream             // nil: rest is 0
	fin     bool                // of into: it counts when rest is through
	heard   *Stream             // a frame came for it: its Notify is called at the boundary
	opened  []*Stream           // by the peer; nobody has them
}

// Read reads frames of the peer until there is a header that the library is to see, and returns
// that. Bodies go to their substreams. A call proves that the library has handled all that it was
// given before.
func (w *wire) Read(p []byte) (int, error) {
	s := (*Session)(w)
	r := &s.reader
	if !r.running {
		select {
		case <-s.released:
		case <-s.over: // the end of a session that was held
		}
		r.running = true
	}
	for {
		switch {
		case len(r.out) > 0:
			n := copy(p, r.out)
			r.out = r.out[n:]
			return n, nil

		case r.heard != nil && r.boundary():
			r.tell()

		case r.ended:
			s.handOver()
			return 0, io.EOF

		case len(r.opened) > 0 && (len(r.opened) == handOverAt || s.conn.Buffered() == 0 || s.table.churn.untilSet.Load()):
			s.handOver()

		case s.injecting.Load() > 0:
			r.give(s.injected())

		case s.table.churn.untilSet.Load() && !s.swallow.Load():
			s.holdBackReading()

		case s.lead.row >= s.lead.after && s.lead.may.Load() && s.conn.Buffered() == 0 && r.have == 0 && r.boundary():
			s.standBy()

		case r.skip > 0 && s.conn.Buffered() > 0:
			n, err := s.conn.Read(p[:min(uint32(len(p)), r.skip)])
			s.bytesIn.Add(uint64(n))
			r.skip -= uint32(n)
			s.stop(err)

		case r.rest == 0 && s.swallow.Load() && s.Err() != nil: // ended on our side
			s.stop(io.EOF)

		default:
			s.step()
		}
	}
}

// step goes on with the frames of the peer: a header, a part of a body, or a wait until there is
// something to read or to look at.
func (s *Session) step() {
	var err error
	switch r := &s.reader; {
	case r.have == headerLen:
		r.have = 0
		err = s.frame(r.head)

	case s.conn.Buffered() == 0:
		err = s.await()

	case r.rest > 0:
		err = s.fill()

	default:
		var n int
		n, err = s.conn.Read(r.head[r.have:])
		s.bytesIn.Add(uint64(n))
		r.have += uint8(n)
	}
	s.stop(err)
}

// await waits until the connection has something to read. It returns nil as well when the wait
// was interrupted, and an error only when the connection is over.
func (s *Session) await() error {
	s.lead.came = 0
	err := io.EOF // by a failure on our side
	select {
	case <-s.over:
	default:
		err = s.conn.Fill()
	}
	switch r := &s.reader; {
	case err != nil && isDeadline(err): // what to look at was there before the deadline was set
		return s.conn.SetReadDeadline(time.Time{})
	case err == io.EOF && !(r.boundary() && r.have == 0):
		return fmt.Errorf("inside a frame: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// fill reads a part of the frame's body. A FIN that came with it counts when it is complete.
func (s *Session) fill() error {
	r := &s.reader
	n, due, met, err := r.into.in.fill(s.conn, int(r.rest))
	s.bytesIn.Add(uint64(n))
	if r.rest -= uint32(n); !met || s.lead.came > 1 || r.rest > 0 {
		s.lead.row = 0
	} else {
		s.lead.row++
	}
	if due > 0 && r.into.state.Load() == lingering {
		err = s.answer(newHeader(typeWindow, 0, r.into.id, due))
	}
	if r.rest > 0 {
		return err
	}
	if r.fin {
		s.table.mu.Lock()
		if r.into.live {
			r.into.remoteFIN()
		}
		s.table.mu.Unlock()
	}
	r.into, r.fin = nil, false
	return err
}

// tell tells who listens that a frame has come.
func (r *reader) tell() {
	st := r.heard
	r.heard = nil
	st.arrived()
}

// handOverAt is how many substreams are handed over before all that has been deciphered is
// handled, so that their first bytes are there as a rule.
const handOverAt = 16

// boundary reports whether all of the last frame has been read.
func (r *reader) boundary() bool { return r.rest == 0 && r.skip == 0 }

// stop ends the reading if there is an error.
func (s *Session) stop(err error) {
	if err != nil {
		s.reader.ended = true
		s.end(err)
	}
}

// give sets the next headers for the library, at most two.
func (r *reader) give(headers ...header) {
	r.out = r.hand[:0]
	for i := range headers {
		r.out = append(r.out, headers[i][:]...)
	}
}

// frame handles one header of the peer and decides what the library sees of it. An error
// ends the connection.
func (s *Session) frame(h header) error {
	r := &s.reader
	if h.version() != 0 || h.kind() > typeGoAway {
		return violation(fmt.Errorf("%w: %x", ErrBadFrame, h[:]))
	}
	switch h.kind() {
	case typeGoAway:
		return &GoAwayError{Code: h.length()}
	case typePing:
		if h.flags()&flagSYN == 0 {
			s.pings.over(h.length(), true)
			return nil
		}
		if s.pings.received.Add(1) > maxPings {
			return violation(ErrTooManyPings)
		}
		r.give(h)
		return nil
	}
	s.heardAt.Store(int64(time.Since(s.made)))
	if h.flags() == 0 {
		st := s.find(h.id())
		switch {
		case st == nil:
			r.skip = h.body()
		case h.kind() == typeWindow:
			st.out.grant(h.length())
		case h.body() > 0:
			if !st.in.announced(h.body()) {
				return violation(ErrWindowExceeded)
			}
			r.into, r.rest, r.heard = st, h.body(), st
			s.lead.came++
		}
		return nil
	}
	switch refused, err := s.flagged(h); {
	case errors.Is(err, ErrTooMuchChurn):
		return s.sendLastGoAway(err)
	case refused && err == nil:
		return s.answer(newHeader(typeData, flagRST, h.id(), 0))
	default:
		return err
	}
}

// find returns the live substream with that id; nil: there is none. The last one is kept, so
// that most frames need no lock.
func (s *Session) find(id uint32) *Stream {
	if st := s.table.last.Load(); st != nil && st.id == id {
		return st
	}
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	st := s.table.streams[id]
	if st != nil {
		s.table.last.Store(st)
		s.lead.row = 0
	}
	return st
}

// flagged handles a frame that opens, acknowledges or ends a substream. It reports whether one that
// the peer opens is refused.
func (s *Session) flagged(h header) (refused bool, err error) {
	t := &s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &s.reader
	flags, id := h.flags(), h.id()

	if flags&flagSYN != 0 {
		if id == 0 || id&1 == 1 == t.client {
			return false, violation(fmt.Errorf("%w: stream %d", ErrBadStreamID, id))
		}
		if t.streams[id] != nil {
			return false, violation(fmt.Errorf("%w: stream %d", ErrDuplicate, id))
		}
		if s.goingAway.Load() || t.liveInbound >= t.inbound || t.room() == 0 || t.unaccepted >= max(backlog, t.inbound) {
			// The peer's fault only beyond its own limit. The last condition
			// is for what it opened and dropped before Accept could return it.
			if !s.goingAway.Load() && t.liveInbound >= t.inbound && t.refuse(time.Now()) {
				return false, violation(ErrTooManyRefused)
			}
			if !s.goingAway.Load() {
				t.churn.count(time.Now())
			}
			r.skip = h.body()
			return true, t.churn.why
		}
		s.add(newStream(s, id, true))
	}

	st := t.streams[id]
	if st == nil { // unknown or over
		r.skip = h.body()
		return false, t.churn.why
	}
	if h.kind() == typeWindow {
		st.out.grant(h.length())
	} else if !st.in.announced(h.body()) {
		return false, violation(ErrWindowExceeded)
	}
	if flags&(flagFIN|flagRST) != 0 || h.body() > 0 {
		r.heard = st
	}
	s.lead.row = 0
	if t.last.Store(st); h.body() > 0 {
		r.into, r.rest = st, h.body()
	}

	// The library hears of an opening, and forgets the substream at once: what was opened is
	// this package's.
	if flags&flagSYN != 0 {
		r.give(newHeader(typeWindow, flagSYN, id, 0), newHeader(typeWindow, flagRST, id, 0))
		r.opened = append(r.opened, st)
	}
	switch {
	case flags&flagRST != 0:
		st.remoteReset()
	case flags&flagFIN != 0 && !st.peerOver:
		if r.fin = h.body() > 0; !r.fin {
			st.remoteFIN()
		}
	}
	return false, t.churn.why
}
