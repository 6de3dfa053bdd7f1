package mux

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

var _ protocol.Stream = (*Stream)(nil)

// States of a stream beside the ends of its halves.
const (
	alive int32 = iota
	resetByPeer
	lingering // closed by us; the peer has not ended its half
	resetByUs
	expired // reset by us because the peer's end did not come
)

// Stream is one substream. One goroutine reads it and one writes it; the one
// that writes also calls CloseWrite. The other methods may be called by any.
type Stream struct {
	session *Session
	id      uint32
	inbound bool

	// Under the table's lock.
	live       bool
	peerOver   bool   // the peer's half is over
	pongs      uint64 // answers to pings that had come before that
	agreed     bool   // on its protocol
	churned    bool   // counted as one that ended without
	closeTimer *time.Timer

	began    time.Duration       // since the session was made
	use      atomic.Pointer[Use] // nil: nobody has said yet what it is for
	state    atomic.Int32
	finOut   atomic.Bool              // this side's half is over; written under the table's lock
	listener atomic.Pointer[listener] // of Notify
	in       inflow
	out      outflow
}

// nobody stands for a stream where a wait is for none. It is never reset.
var nobody = new(Stream)

func newStream(s *Session, id uint32, inbound bool) *Stream {
	return &Stream{
		session: s, id: id, inbound: inbound, began: time.Since(s.made),
		in:  inflow{ready: newWaker(), window: uint64(s.cfg.Window), promised: initialWindow},
		out: outflow{ready: newWaker(), window: initialWindow},
	}
}

// ID is the number of the substream on the wire: odd when the side that
// dialled opened it.
func (st *Stream) ID() uint32 { return st.id }

// Read returns all bytes that have arrived, even if a reset or the end of the connection
// followed them. Then it returns io.EOF if the peer has ended its half, [ErrReset] if the
// peer reset the substream before that, or an error that wraps [ErrSessionEnded] if the
// connection ended without either. After Close or Reset it returns [ErrClosed], after a read
// deadline os.ErrDeadlineExceeded.
func (st *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		if st.state.Load() >= lingering {
			return 0, st.gone()
		}
		return 0, nil
	}
	n, due, err := st.in.read(st, p)
	if due > 0 {
		st.session.outbox.awaitRoom(st.session, nobody)
		st.give(due)
	}
	return n, err
}

// give gives the peer credit, if there is any to give.
func (st *Stream) give(due uint32) {
	if due == 0 || st.session.swallow.Load() {
		return
	}
	h := newHeader(typeWindow, 0, st.id, due)
	st.session.outbox.enqueue(st.session, &h, nil, (*outbox).start)
}

var goneWith = [...]error{resetByPeer: ErrResetByPeer, lingering: ErrClosed, resetByUs: ErrClosed, expired: errExpired}

// gone returns the error of a stream that was reset, nil if it was not.
func (st *Stream) gone() error { return goneWith[st.state.Load()] }

// unwritable returns the error of a stream on which nothing can be written any more.
func (st *Stream) unwritable() error {
	if gone := st.gone(); gone != nil {
		return gone
	}
	if cause := st.session.broken(); cause != nil {
		return streamEnded(cause)
	}
	if st.finOut.Load() {
		return ErrClosed
	}
	return nil
}

// Write writes p in pieces of at most [MaxPiece] bytes and returns when the connection has
// accepted them. It waits for the peer's window. It returns [ErrStalled] when the peer
// accepts nothing for StallTimeout; os.ErrDeadlineExceeded after the deadline of
// SetWriteDeadline; and [ErrReset], [ErrClosed] or an error that wraps [ErrSessionEnded] when
// the stream or the connection has ended. After an error, at least n bytes were passed to the
// connection; there may be more, unless the error wraps [protocol.ErrUnsent].
func (st *Stream) Write(p []byte) (n int, err error) {
	var until time.Time // since something was written, or Write began
	stalled := false
	for n < len(p) {
		if err := st.unwritable(); err != nil {
			if n == 0 {
				err = protocol.Unsent(err)
			}
			return n, err
		}
		k, err := st.out.take(min(len(p)-n, MaxPiece))
		if err != nil {
			return n, err
		}
		if k == 0 {
			if until.IsZero() {
				until = time.Now().Add(st.session.cfg.StallTimeout)
			}
			if !stalled {
				stalled = true
				st.session.stalls.Add(1)
			}
			st.session.lead.wanted() // credit may have come
			if err := st.out.await(until); err != nil {
				return n, err
			}
			continue
		}
		until = time.Time{}
		h := newHeader(typeData, 0, st.id, uint32(k))
		st.session.writeData(st, &h, p[n:n+k])
		// The piece may have been swallowed, or gone out behind a reset.
		if cause := st.session.broken(); cause != nil {
			return n, streamEnded(cause)
		}
		n += k
		if gone := st.gone(); gone != nil {
			return n, gone
		}
	}
	return n, nil
}

// WriteHeld is Write for the first bytes of a substream, at most 1 KiB. They go with the next write
// on the connection, or alone within a millisecond. While [Session.Prompt] holds, WriteHeld waits for
// nothing. It returns the errors of Write. With [ErrStalled], a part of p may be on its way.
func (st *Stream) WriteHeld(p []byte) error {
	if err := st.unwritable(); err != nil {
		return protocol.Unsent(err)
	}
	n, err := st.out.take(len(p))
	if err != nil {
		return err
	}
	h := newHeader(typeData, 0, st.id, uint32(n))
	st.session.outbox.enqueue(st.session, &h, p[:n], (*outbox).hold)
	if n < len(p) {
		return ErrStalled
	}
	return nil
}

// Ahead copies the first bytes that have arrived to p, and leaves them for Read.
func (st *Stream) Ahead(p []byte) (n int) {
	f := &st.in
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := f.kept.head; s != nil && n < len(p); s = s.next {
		n += copy(p[n:], s.b[s.off:s.end])
	}
	return n
}

// SetReadDeadline bounds Read: see [protocol.Stream]. After the deadline Read still returns bytes
// that have arrived. Do not use it to detect a dead peer: an idle substream is fine. Use it for a
// negotiation, for a message that has begun, and for reading only the bytes that have arrived.
func (st *Stream) SetReadDeadline(t time.Time) error {
	st.in.setDeadline(t)
	return nil
}

// SetWriteDeadline bounds Write where it waits for the peer's window. Where it waits for the
// connection, the session's WriteTimeout does.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	st.out.setDeadline(t)
	return nil
}

// SetDeadline calls SetReadDeadline and SetWriteDeadline.
func (st *Stream) SetDeadline(t time.Time) error {
	st.in.setDeadline(t)
	return st.SetWriteDeadline(t)
}

// CloseWrite ends this side's half: the peer reads EOF after all bytes written. The peer's
// half goes on for at most CloseTimeout. The goroutine that writes must call it. It may be
// repeated, and returns when the end is written.
func (st *Stream) CloseWrite() error {
	if gone := st.gone(); gone != nil {
		return gone
	}
	st.queueFIN(nil)
	st.session.write(st, nil, nil)
	if gone := st.gone(); gone != nil {
		return gone
	}
	t := &st.session.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if cause := st.session.broken(); cause != nil {
		return streamEnded(cause)
	}
	if st.live && st.closeTimer == nil {
		st.closeTimer = time.AfterFunc(st.session.cfg.CloseTimeout, func() { st.drop(expired) })
	}
	return nil
}

// queueFIN queues the end of this side's half, once. The older peers do not wake their reader for
// an end on a window update, so it is a data frame. spec: comms 5.3, 143
func (st *Stream) queueFIN(by func(*outbox, *Session)) {
	t := &st.session.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.finOut.Swap(true) || !st.live || st.session.swallow.Load() {
		return
	}
	h := newHeader(typeData, flagFIN, st.id, 0)
	st.session.outbox.enqueue(st.session, &h, nil, by)
	if st.peerOver {
		t.end(st)
	}
}

// Finish is CloseWrite and Close, and never waits: what was written before arrives, unless the peer
// lets too much wait: then the stream is reset. No Write may go on meanwhile.
func (st *Stream) Finish() error {
	if st.session.outbox.full() {
		return st.Reset()
	}
	st.queueFIN((*outbox).start)
	return st.Close()
}

// Close closes the stream and never waits. If both halves have ended, nothing more happens.
// If only this side's half has, by CloseWrite, the stream lingers: it counts until the peer
// has ended its half as well, at most LingerTimeout, so that the peer gets no reset while it
// still reads or writes. Unread bytes, and those that the peer still sends, are dropped and
// take no memory. In all other cases the stream is reset.
func (st *Stream) Close() error {
	t := &st.session.table
	t.mu.Lock()
	if st.state.Load() == lingering {
		t.mu.Unlock()
		return nil
	}
	if !st.live || !st.finOut.Load() || st.session.broken() != nil || !st.state.CompareAndSwap(alive, lingering) {
		t.mu.Unlock()
		return st.Reset()
	}
	st.stopTimer()
	st.closeTimer = time.AfterFunc(st.session.cfg.LingerTimeout, func() { st.drop(resetByUs) })
	t.mu.Unlock()
	st.give(st.in.close(ErrClosed))
	return nil
}

// stopTimer ends the time limit of a half. The table's lock is held.
func (st *Stream) stopTimer() {
	if st.closeTimer != nil {
		st.closeTimer.Stop()
		st.closeTimer = nil
	}
}

// Reset resets the stream in any state, without waiting: blocked calls return [ErrClosed],
// and the peer gets a reset, unless it has ended or reset the stream itself.
func (st *Stream) Reset() error {
	st.drop(resetByUs)
	return nil
}

func (st *Stream) drop(state int32) {
	s := st.session
	s.table.mu.Lock()
	if st.state.Load() >= resetByUs {
		s.table.mu.Unlock()
		return
	}
	st.state.Store(state)
	if s.injecting.Load() > 0 {
		s.lookAround()
	}
	var err error
	if st.live {
		s.table.end(st)
		err = s.outbox.send(s, newHeader(typeData, flagRST, st.id, 0))
	}
	s.table.mu.Unlock()

	st.in.close(st.gone())
	st.out.ready.wake()
	st.notify()
	if err != nil {
		_ = s.fail(err)
	}
}

// PeerEnded reports whether the peer's half is over: the peer has ended or reset the
// substream, or the connection has ended. pongs is how many answers to pings had come before
// (see [Pong]). An answer with a greater number proves nothing about what was written on this
// substream: the peer may have dropped that unread.
func (st *Stream) PeerEnded() (pongs uint64, ended bool) {
	s := st.session
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if !st.peerOver && s.Err() != nil {
		return s.pings.came.Load(), true
	}
	return st.pongs, st.peerOver
}

// peerEnds notes that the peer's half is over. The table's lock is held.
func (st *Stream) peerEnds(err error) {
	if !st.peerOver {
		st.peerOver, st.pongs = true, st.session.pings.came.Load()
	}
	st.in.finish(err)
}

// remoteFIN notes the peer's end, when all bytes before it are in. The table's lock is held.
func (st *Stream) remoteFIN() {
	st.peerEnds(io.EOF)
	if st.finOut.Load() {
		st.session.table.end(st)
	}
}

// remoteReset notes a reset by the peer. The table's lock is held.
func (st *Stream) remoteReset() {
	st.peerEnds(ErrResetByPeer)
	st.state.CompareAndSwap(alive, resetByPeer)
	st.session.table.end(st)
	st.out.ready.wake()
}

// sessionEnded notes the end of the connection.
func (st *Stream) sessionEnded(cause error) {
	st.in.finish(streamEnded(cause))
	st.out.ready.wake()
}
