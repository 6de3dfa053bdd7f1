package mux

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gamelan-p2p/gamelan/protocol"
)

var _ protocol.Stream = (*Stream)(nil)

// libraryStream are the methods of the library's stream that a Stream uses.
type libraryStream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Shrink()
}

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
	link    *link
	id      uint32
	inbound bool

	// Under the table's lock.
	lib           libraryStream // set when claimed
	live, claimed bool
	acked         bool   // own: the library was told of the ACK
	finHanded     bool   // the library was told that the peer's half is over
	pongs         uint64 // answers to pings that had come before that
	finIn, finOut bool
	agreed        bool   // on its protocol
	churned       bool   // counted as one that ended without
	lingers       bool   // live, and state is lingering
	owed          uint32 // dropped bytes for which no window update was sent yet
	closeTimer    *time.Timer
	granted       time.Time // when the peer last gave credit
	arrived       func()    // of Notify

	window            *receiveWindow
	state             atomic.Int32
	bytesIn, bytesOut atomic.Uint64
	left              atomic.Int64 // of the piece that the library has from Write

	// Writing: the deadlines, under mu.
	mu       sync.Mutex
	deadline time.Time // of SetWriteDeadline
	armed    time.Time // what the library has
}

func newStream(l *link, id uint32, inbound bool) *Stream {
	return &Stream{link: l, id: id, inbound: inbound, window: newReceiveWindow(l.cfg.Window)}
}

// ID is the number of the substream on the wire: odd when the side that
// dialled opened it.
func (st *Stream) ID() uint32 { return st.id }

// Direction says who opened the substream.
func (st *Stream) Direction() protocol.Direction {
	if st.inbound {
		return protocol.Inbound
	}
	return protocol.Outbound
}

// BytesIn returns the number of bytes that Read has returned.
func (st *Stream) BytesIn() uint64 { return st.bytesIn.Load() }

// BytesOut returns the number of bytes that Write has written.
func (st *Stream) BytesOut() uint64 { return st.bytesOut.Load() }

// Read returns all bytes that have arrived, even if a reset or the end of the connection
// followed them. Then it returns io.EOF if the peer has ended its half, [ErrReset] if the
// peer reset the substream before that, or an error that wraps [ErrSessionEnded] if the
// connection ended without either. After Close or Reset it returns [ErrClosed], after a read
// deadline os.ErrDeadlineExceeded.
func (st *Stream) Read(p []byte) (int, error) {
	if st.state.Load() >= lingering {
		return 0, st.gone()
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := st.lib.Read(p)
	if errors.Is(err, yamux.ErrConnectionWriteTimeout) {
		// A window update was lost for good; the peer would stop for ever.
		st.link.session.fail(err)
	}
	if n > 0 {
		st.bytesIn.Add(uint64(n))
		st.took(n, (*outbox).enqueue)
		st.link.session.touched()
		return n, nil
	}
	gone := st.gone()
	if gone != nil && st.state.Load() != resetByPeer {
		return 0, gone
	}
	if errors.Is(err, yamux.ErrTimeout) {
		return 0, os.ErrDeadlineExceeded // of SetReadDeadline
	}
	st.link.table.mu.Lock()
	finIn := st.finIn
	st.link.table.mu.Unlock()
	if finIn {
		return 0, io.EOF
	}
	if gone != nil {
		return 0, gone
	}
	return 0, streamEnded(st.link.session.fail(err))
}

// gone returns the error of a stream that was reset, nil if it was not.
func (st *Stream) gone() error {
	switch st.state.Load() {
	case resetByPeer:
		return errByPeer
	case lingering, resetByUs:
		return ErrClosed
	case expired:
		return errExpired
	}
	return nil
}

// over returns the error of a stream on which nothing can be written any more.
func (st *Stream) over() error {
	if gone := st.gone(); gone != nil {
		return gone
	}
	if cause := st.link.broken(); cause != nil {
		return streamEnded(cause)
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
	progress := time.Now()
	for n < len(p) {
		if st.link.outbox.size.Load() >= writeThrough {
			st.link.flush()
			progress = time.Now()
		}
		piece := p[n:min(n+MaxPiece, len(p))]
		// The deadline comes first: a reset after this look finds it set and
		// puts it into the past.
		if err := st.arm(progress); err != nil {
			return n, err
		}
		if over := st.over(); over != nil {
			if n == 0 {
				over = protocol.Unsent(over)
			}
			return n, over
		}
		st.left.Store(int64(len(piece)))
		k, err := st.lib.Write(piece)
		if k > 0 {
			st.link.flushTogether(st.id)
		}
		n += k
		st.bytesOut.Add(uint64(k))
		if err == nil {
			// The piece may have been swallowed, or gone out behind a reset.
			if cause := st.link.broken(); cause != nil {
				return n - k, streamEnded(cause)
			}
			if gone := st.gone(); gone != nil {
				return n, gone
			}
			if n < len(p) {
				progress = time.Now()
			}
			continue
		}
		if gone := st.gone(); gone != nil {
			return n, gone
		}
		switch {
		case errors.Is(err, yamux.ErrTimeout):
			if k > 0 {
				progress = st.lastGrant(progress)
			}
			if time.Since(progress) >= st.link.cfg.StallTimeout {
				return n, ErrStalled
			}
		case errors.Is(err, yamux.ErrStreamClosed) && st.link.broken() == nil:
			return n, ErrClosed // after CloseWrite
		default:
			return n, streamEnded(st.link.session.fail(err))
		}
	}
	return n, nil
}

// armSlack is how much earlier than wanted the library's deadline may be, so that not every
// write has to set it; Write then checks the clock.
const armSlack = time.Second

// arm sets the deadline of one write of the library.
func (st *Stream) arm(progress time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	want := progress.Add(st.link.cfg.StallTimeout)
	if !st.deadline.IsZero() && st.deadline.Before(want) {
		if !time.Now().Before(st.deadline) {
			return os.ErrDeadlineExceeded
		}
		want = st.deadline
	}
	if d := want.Sub(st.armed); d < 0 || d > armSlack || !time.Now().Before(st.armed) {
		st.armed = want
		st.lib.SetWriteDeadline(want)
	}
	return nil
}

// SetWriteDeadline bounds present and future writes; the zero time removes the bound. The
// session's WriteTimeout bounds a write that waits for the connection itself, not for the
// peer's window.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.deadline = t
	if !t.IsZero() && (st.armed.IsZero() || t.Before(st.armed)) {
		st.armed = t
		return st.lib.SetWriteDeadline(t)
	}
	return nil
}

// CloseWrite ends this side's half: the peer reads EOF after all bytes written. The peer's
// half goes on for at most CloseTimeout. The goroutine that writes must call it. It may be
// repeated, and returns when the end is written.
func (st *Stream) CloseWrite() error {
	if gone := st.gone(); gone != nil {
		return gone
	}
	start := time.Now()
	st.lib.Close()
	st.link.flush()
	if gone := st.gone(); gone != nil {
		return gone
	}
	t := st.link.table
	t.mu.Lock()
	if cause := st.link.broken(); cause != nil {
		t.mu.Unlock()
		return streamEnded(cause)
	}
	lost := !st.finOut && time.Since(start) >= st.link.cfg.WriteTimeout
	if st.live && st.closeTimer == nil {
		st.closeTimer = time.AfterFunc(st.link.cfg.CloseTimeout, func() { st.drop(expired) })
	}
	t.mu.Unlock()
	if lost {
		return streamEnded(st.link.session.fail(ErrWriteTimeout))
	}
	return nil
}

// Close closes the stream and never waits. If both halves have ended, nothing more happens.
// If only this side's half has, by CloseWrite, the stream lingers: it counts until the peer
// has ended its half as well, at most LingerTimeout, so that the peer gets no reset while it
// still reads or writes. Unread bytes, and those that the peer still sends, are dropped and
// take no memory. In all other cases the stream is reset.
func (st *Stream) Close() error {
	t := st.link.table
	t.mu.Lock()
	if st.state.Load() == lingering {
		t.mu.Unlock()
		return nil
	}
	if !st.live || !st.finOut || st.link.broken() != nil || !st.state.CompareAndSwap(alive, lingering) {
		t.mu.Unlock()
		return st.Reset()
	}
	st.lingers = true
	t.lingering.Add(1)
	if st.closeTimer != nil {
		st.closeTimer.Stop()
	}
	st.closeTimer = time.AfterFunc(st.link.cfg.LingerTimeout, func() { st.drop(resetByUs) })
	t.mu.Unlock()
	st.lib.SetReadDeadline(passedDeadline) // wakes a reader
	go st.empty()
	return nil
}

// empty drops the bytes that the library holds for a stream that lingers. It waits while a
// window update waits for the connection.
func (st *Stream) empty() {
	buf := frameBuffers.Get().(*frameBuffer)
	defer frameBuffers.Put(buf)
	for {
		n, err := st.lib.Read(buf[:])
		if errors.Is(err, yamux.ErrConnectionWriteTimeout) {
			st.link.session.fail(err) // as in Read
		}
		st.took(n, (*outbox).enqueue)
		if n == 0 || err != nil {
			break
		}
	}
	st.lib.Shrink()
}

// dropStep is the number of dropped bytes after which the peer gets a window update. It is
// so small that the peer still has window then, even without the credit for bytes that were
// read before, less than a quarter of its window.
const dropStep = 64 << 10

// dropped notes the dropped body of a frame with these flags. It returns the window update
// for the peer, once there are enough such bytes. The table's lock is held.
func (st *Stream) dropped(body uint32, flags uint16) *header {
	st.owed += body
	if st.owed < dropStep || flags&(flagFIN|flagRST) != 0 {
		return nil
	}
	h := newHeader(typeWindow, 0, st.id, st.owed)
	st.owed = 0
	return &h
}

// Reset resets the stream in any state, without waiting: blocked calls return [ErrClosed],
// and the peer gets a reset, unless it has ended or reset the stream itself.
func (st *Stream) Reset() error {
	st.drop(resetByUs)
	return nil
}

func (st *Stream) drop(state int32) {
	l := st.link
	l.table.mu.Lock()
	if st.state.Load() >= resetByUs {
		l.table.mu.Unlock()
		return
	}
	st.state.Store(state)
	if !(st.finHanded && st.finOut) {
		// The library still has it. As in link.flagged, it learns of an ACK.
		flags := flagRST
		if !st.inbound && !st.acked {
			flags |= flagACK
			st.acked = true
		}
		l.kick(newHeader(typeData, flags, st.id, 0))
	}
	var err error
	if st.live {
		l.table.end(st)
		err = l.outbox.reset(l, st.id)
	}
	l.table.mu.Unlock()

	// The library tells its callers only at the next boundary of the peer's
	// frames; these do not wait for it.
	st.lib.SetReadDeadline(passedDeadline)
	st.lib.SetWriteDeadline(passedDeadline)
	st.notify()
	if err != nil {
		l.session.fail(err)
	}
}

// PeerEnded reports whether the peer's half is over: the peer has ended or reset the
// substream, or the connection has ended. pongs is how many answers to pings had come before
// (see [Pong]). An answer with a greater number proves nothing about what was written on this
// substream: the peer may have dropped that unread.
func (st *Stream) PeerEnded() (pongs uint64, ended bool) {
	l := st.link
	l.table.mu.Lock()
	pongs, ended = st.pongs, st.finHanded
	l.table.mu.Unlock()
	if ended {
		return pongs, true
	}
	select {
	case <-l.over:
		return l.pings.came.Load(), true
	default:
		return 0, false
	}
}

// peerEnds notes that the peer's half is over. The table's lock is held.
func (st *Stream) peerEnds() {
	if !st.finHanded {
		st.finHanded, st.pongs = true, st.link.pings.came.Load()
	}
}

// remoteFIN notes the peer's end and returns the flag for the library. The
// table's lock is held.
func (st *Stream) remoteFIN() uint16 {
	st.finIn = true
	st.peerEnds()
	if st.finOut {
		st.link.table.end(st)
	}
	return flagFIN
}

// localFIN notes our end. The table's lock is held.
func (st *Stream) localFIN() {
	st.finOut = true
	if st.finHanded {
		st.link.table.end(st)
	}
}

// remoteReset notes a reset by the peer and wakes a writer. The reader is
// woken by the end that the library is given. The table's lock is held.
func (st *Stream) remoteReset() {
	st.peerEnds()
	st.state.CompareAndSwap(alive, resetByPeer)
	st.link.table.end(st)
	if st.lib != nil {
		st.lib.SetWriteDeadline(passedDeadline)
	}
}

// lastGrant returns when the peer last sent a window update, after which a waiting Write went
// on, or since if that is later.
func (st *Stream) lastGrant(since time.Time) time.Time {
	st.link.table.mu.Lock()
	defer st.link.table.mu.Unlock()
	if st.granted.After(since) {
		return st.granted
	}
	return since
}
