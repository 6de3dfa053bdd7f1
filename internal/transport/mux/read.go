package mux

import (
	"fmt"
	"io"
	"time"
)

// reader is the state of the link's reading half. Only who reads the connection touches it: the
// library's reading goroutine, or a Read that leads.
type reader struct {
	running bool
	ended   bool
	plain   bool                // heard is for a data frame without flags
	head    header              // the peer's header as far as it has arrived
	have    uint8               // bytes of it
	hand    [2 * headerLen]byte // headers on their way to the library
	out     []byte              // the rest of hand
	rest    uint32              // of the frame's body, for the substream into
	skip    uint32              // bytes of a body that nobody wants
	into    *Stream             // nil: rest is 0
	fin     *Stream             // its FIN counts when rest is through
	answer  *header             // for the peer, to be sent outside the lock
	heard   *Stream             // a frame came for it: its Notify is called at the boundary
	opened  []*Stream           // by the peer; nobody has them
}

// Read reads frames of the peer until there is a header that the library is to see, and returns
// that. Bodies go to their substreams. A call proves that the library has handled all that it was
// given before.
func (l *link) Read(p []byte) (int, error) {
	r := &l.reader
	if !r.running {
		select {
		case <-l.released:
		case <-l.over: // the end of a session that was held
		}
		r.running = true
	}
	for {
		switch {
		case len(r.out) > 0:
			n := copy(p, r.out)
			r.out = r.out[n:]
			return n, nil

		case r.fin != nil && r.rest == 0:
			// A FIN that came with a body: only now is the body complete.
			l.table.mu.Lock()
			if r.fin.live {
				r.fin.remoteFIN()
			}
			l.table.mu.Unlock()
			r.fin = nil

		case r.heard != nil && r.boundary():
			l.tell()

		case r.ended:
			l.handOver()
			return 0, io.EOF

		case len(r.opened) > 0 && (len(r.opened) == handOverAt || l.conn.Buffered() == 0 || l.table.churn.untilSet.Load()):
			l.handOver()

		case l.injecting.Load() > 0:
			r.give(l.injected())

		case l.table.churn.untilSet.Load() && !l.swallow.Load():
			l.holdBackReading()

		case r.have == headerLen: // a Read has left it
			l.handle()

		case l.conn.Buffered() == 0 && l.offers():
			l.standBy()

		case l.conn.Buffered() == 0:
			l.awaited()

		case r.rest > 0:
			l.fill()

		case r.skip > 0:
			n, err := l.conn.Read(p[:min(uint32(len(p)), r.skip)])
			l.bytesIn.Add(uint64(n))
			r.skip -= uint32(n)
			l.stop(err)

		case l.swallow.Load() && l.err() != nil: // ended on our side
			l.stop(io.EOF)

		default:
			if l.header(); r.have == headerLen {
				l.handle()
			}
		}
	}
}

// awaited waits until there is something to read, or reading has to look around.
func (l *link) awaited() {
	r := &l.reader
	l.lead.came = 0
	err := l.await()
	if !r.boundary() || r.have > 0 {
		err = cut(err)
	}
	l.stop(err)
}

// fill reads a part of the frame's body.
func (l *link) fill() {
	r := &l.reader
	n, due, met, err := r.into.in.fill(l.conn, int(r.rest))
	l.bytesIn.Add(uint64(n))
	if r.rest -= uint32(n); !met || l.lead.came > 1 || r.rest > 0 {
		l.lead.row = 0
	} else {
		l.lead.row++
	}
	if due > 0 && r.into.state.Load() == lingering {
		err = l.answer(newHeader(typeWindow, 0, r.into.id, due))
	}
	if r.rest == 0 {
		r.into = nil
	}
	l.stop(err)
}

// tell tells who listens that a frame has come.
func (l *link) tell() {
	st := l.reader.heard
	l.reader.heard = nil
	st.arrived(l.reader.plain)
}

// header reads the next header, or a part of it.
func (l *link) header() {
	r := &l.reader
	n, err := l.conn.Read(r.head[r.have:])
	l.bytesIn.Add(uint64(n))
	r.have += uint8(n)
	l.stop(err)
}

// handle handles the header.
func (l *link) handle() {
	l.reader.have = 0
	l.stop(l.frame(l.reader.head))
}

// handOverAt is how many substreams are handed over before all that has been deciphered is
// handled, so that their first bytes are there as a rule.
const handOverAt = 16

// boundary reports whether all of the last frame has been read.
func (r *reader) boundary() bool { return r.rest == 0 && r.skip == 0 && r.fin == nil }

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

// give sets the next headers for the library, at most two.
func (r *reader) give(headers ...header) {
	r.out = r.hand[:0]
	for i := range headers {
		r.out = append(r.out, headers[i][:]...)
	}
}

// await waits until the connection has something to read. It returns nil as well when the wait
// was interrupted, and an error only when the connection is over.
func (l *link) await() error {
	select {
	case <-l.over: // by a failure on our side
		return io.EOF
	default:
	}
	err := l.conn.Fill()
	if err != nil && isDeadline(err) {
		err = l.woken()
	}
	return err
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
	if h.flags() == 0 {
		st := l.find(h.id())
		switch {
		case st == nil:
			r.skip = h.body()
		case h.kind() == typeWindow:
			st.out.grant(h.length())
		case h.body() > 0:
			if !st.in.announced(h.body()) {
				return violation(ErrWindowExceeded)
			}
			r.into, r.rest, r.heard, r.plain = st, h.body(), st, true
			l.lead.came++
		}
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

// find returns the live substream with that id; nil: there is none. The last one is kept, so
// that most frames need no lock.
func (l *link) find(id uint32) *Stream {
	if st := l.table.last.Load(); st != nil && st.id == id {
		return st
	}
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	st := l.table.lookup(id)
	if st != nil {
		l.table.last.Store(st)
		l.lead.row = 0
	}
	return st
}

// flagged handles a frame that opens, acknowledges or ends a substream.
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
		if l.goingAway.Load() || t.liveInbound >= t.inbound || t.live+t.reserved+1 >= t.max || t.unaccepted >= max(backlog, t.inbound) {
			// The peer's fault only beyond its own limit. The last condition
			// is for what it opened and dropped before Accept could return it.
			if !l.goingAway.Load() && t.liveInbound >= t.inbound && t.refuse(time.Now()) {
				return violation(ErrTooManyRefused)
			}
			if !l.goingAway.Load() {
				t.churn.count(time.Now())
			}
			reset := newHeader(typeData, flagRST, id, 0)
			r.skip, r.answer = h.body(), &reset
			return nil
		}
		l.add(newStream(l, id, true))
	}

	st := t.lookup(id)
	if st == nil { // unknown or over
		r.skip = h.body()
		return nil
	}
	if h.kind() == typeWindow {
		st.out.grant(h.length())
	} else if !st.in.announced(h.body()) {
		return violation(ErrWindowExceeded)
	}
	if flags&(flagFIN|flagRST) != 0 || h.body() > 0 {
		r.heard, r.plain = st, false
	}
	l.lead.row = 0
	if t.last.Store(st); h.body() > 0 {
		r.into, r.rest = st, h.body()
	}

	// The library hears of an opening, and forgets the substream at once: what was opened is
	// this package's.
	switch {
	case flags&flagSYN != 0:
		r.give(newHeader(typeWindow, flagSYN, id, 0), newHeader(typeWindow, flagRST, id, 0))
		r.opened = append(r.opened, st)
	case flags&(flagACK|flagFIN|flagRST) != 0 && t.acknowledge(st):
		r.give(newHeader(typeWindow, flagACK|flagRST, id, 0))
	}
	switch {
	case flags&flagRST != 0:
		st.remoteReset()
	case flags&flagFIN != 0 && !st.peerOver:
		if h.body() > 0 {
			r.fin = st
		} else {
			st.remoteFIN()
		}
	}
	return nil
}
