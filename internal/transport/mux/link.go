package mux

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// holdBack is how long reading goes on after a write has failed, and how long a peer
	// may leave what it provokes unread. spec: comms 5.5 items 2, 8
	holdBack = time.Second

	// maxPings is how many pings of the peer may wait for our answer. spec:
	// comms 5.5 item 6
	maxPings = 16

	// forgetMost is how many substreams of this side, which are this package's, the library may know.
	forgetMost = 16

	// maxControl is how many frames may wait in the outbox, and how many resets and
	// pings before them. Only a peer that reads nothing brings a connection near it.
	maxControl = 512
)

// passedDeadline is a deadline that has passed.
var passedDeadline = time.Unix(1, 0)

// link stands between the library and the connection. The library reads on one goroutine, unless
// a Read does in its place, and writes on another; frames of substreams come from their owners. Only writeOut writes to the
// connection.
type link struct {
	conn  Conn
	lib   *yamux.Session
	made  time.Time
	cfg   Config
	table *table

	released chan struct{} // opens when the session may read

	reader reader
	writer writer

	bytesIn, bytesOut atomic.Uint64
	stalls            atomic.Uint64 // writes that found no window

	withhold atomic.Pointer[atomic.Bool] // see Session.WithholdPongs; nil: no flag

	// The end. over is closed when it begins, when cause is known and writes are swallowed.
	over     chan struct{}
	endMu    sync.Mutex
	cause    error
	writeErr error
	ending   sync.Once
	closing  sync.Once
	swallow  atomic.Bool

	opens  sync.Mutex // held by Open
	opened *Stream    // by the Open under way, when its SYN has come here

	inject    []header     // frames for the library that the peer never sent; under table.mu
	injecting atomic.Int32 // how many, so that the reader need not lock

	goingAway atomic.Bool // GoAway is sent, or will be at once

	heardAt atomic.Int64 // when a frame of a substream last came, since made

	lead *lead

	acceptor acceptor
	outbox   outbox
	pings    pings
}

func newLink(conn Conn, client bool, cfg Config) *link {
	l := &link{
		conn: conn, made: time.Now(), cfg: cfg, table: newTable(client, cfg),
		released: make(chan struct{}), over: make(chan struct{}), lead: newLead(),
	}
	l.outbox.run = func(f func()) { go f() }
	l.writer.lock = make(chan struct{}, 1)
	return l
}

// end begins the end of the connection: from now on writes are swallowed, and
// the reader stops at the next boundary. The first cause counts, except that
// an earlier failure of a write says more than the hang-up that followed.
func (l *link) end(cause error) {
	l.ending.Do(func() {
		if errors.Is(cause, io.EOF) {
			cause = ErrHungUp // a substream's reader would take io.EOF for a FIN
		}
		l.endMu.Lock()
		if l.writeErr != nil && (cause == ErrHungUp || errors.Is(cause, io.ErrUnexpectedEOF)) {
			cause = l.writeErr
		}
		l.cause = ended(cause)
		l.swallow.Store(true)
		close(l.over)
		l.endMu.Unlock()
		for _, st := range l.table.all() {
			st.sessionEnded(l.cause)
			st.notify()
		}
	})
}

// add enters a live substream. The table's lock is held, so that the end of the connection finds
// either the substream or has its cause here.
func (l *link) add(st *Stream) {
	t := l.table
	st.live = true
	t.streams[st.id] = st
	if st.inbound {
		t.liveInbound++
		t.unaccepted++
	}
	if cause := l.err(); cause != nil {
		st.sessionEnded(cause)
	}
}

// err returns the cause of the end, nil while there is none.
func (l *link) err() error {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	return l.cause
}

// broken returns the cause of the end, or the failed write that will be the cause.
func (l *link) broken() error {
	if !l.swallow.Load() {
		return nil
	}
	l.endMu.Lock()
	defer l.endMu.Unlock()
	if l.cause != nil {
		return l.cause
	}
	return ended(l.writeErr)
}

// Close closes the connection. The library calls it for every end, Session.Close
// before it asks the library to stop.
func (l *link) Close() error {
	l.closing.Do(func() {
		l.end(ErrHungUp) // the library closes it only after another end
		l.conn.Close()
	})
	return nil
}

// fail ends the session for an error, if it lives, and returns the cause of the end.
func (l *link) fail(err error) error {
	l.end(err)
	l.Close()
	return l.err()
}

// failWrite notes that a write failed. Bytes that the peer had sent before are still read,
// for at most a second.
func (l *link) failWrite(err error) {
	l.endMu.Lock()
	first := l.writeErr == nil
	if first {
		switch {
		case isDeadline(err): // a substream's writer would take it for its own deadline
			l.writeErr = ErrWriteTimeout
		case errors.Is(err, io.EOF):
			l.writeErr = ErrHungUp
		default:
			l.writeErr = fmt.Errorf("write: %w", err)
		}
	}
	l.swallow.Store(true)
	l.endMu.Unlock()

	for _, st := range l.table.all() {
		st.out.ready.wake()
	}
	if first {
		time.AfterFunc(holdBack, func() { _ = l.fail(l.writeErr) })
	}
}

// forget has the library forget a substream of this side: it gets a reset, as if the peer had sent
// it, when the reader next looks around: at the latest when a substream is dropped, or behind
// forgetMost others. The table's lock is held.
func (l *link) forget(id uint32) {
	l.inject = append(l.inject, newHeader(typeWindow, flagACK|flagRST, id, 0))
	if l.injecting.Store(int32(len(l.inject))); len(l.inject) > forgetMost {
		l.lookAround()
	}
}

// lookAround ends the reader's wait for the connection.
func (l *link) lookAround() { l.conn.SetReadDeadline(passedDeadline) }

// injected takes the first frame that waits for the library.
func (l *link) injected() header {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	h := l.inject[0]
	l.inject = l.inject[1:]
	if len(l.inject) == 0 {
		l.inject = nil
	}
	l.injecting.Store(int32(len(l.inject)))
	return h
}
