package mux

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gamelan-p2p/gamelan/protocol"
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

var passedDeadline = time.Unix(1, 0)

// Conn is a connection below a session, such as
// [github.com/gamelan-p2p/gamelan/internal/transport/noise.Conn]. One reads while another writes.
type Conn interface {
	net.Conn
	// Fill waits until Buffered is above 0. One that ends at a read deadline loses nothing and
	// may be repeated. spec: comms 5.5
	Fill() error
	// Buffered returns how many bytes the next Read returns without waiting.
	Buffered() int
	// Pending reports whether there are bytes that no Read has returned, or that are not deciphered.
	Pending() bool
	// WriteParts writes head and body, together at most 12 bytes more than [MaxPiece], as one.
	WriteParts(head, body []byte) error
}

// Session is one multiplexed connection. It ends with the first failure of the
// connection, an offence or GoAway of the peer, or Close. All methods may be
// called by any goroutine.
type Session struct {
	conn  Conn
	lib   *yamux.Session
	made  time.Time
	cfg   Config
	table table

	release  sync.Once
	released chan struct{} // opens when the session may read

	reader reader
	writer writer

	bytesIn, bytesOut atomic.Uint64
	stalls            atomic.Uint64 // writes that waited for a window, each once

	withhold atomic.Pointer[atomic.Bool] // see Session.WithholdPongs

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

	inject    []uint32     // substreams of this side that the library is to forget; under table.mu
	injecting atomic.Int32 // how many, so that the reader need not lock

	goingAway atomic.Bool // GoAway is sent, or will be at once

	heardAt atomic.Int64 // when a frame of a substream last came, since made

	lead *lead

	acceptor acceptor
	outbox   outbox
	pings    pings
}

// wire is a session as the library's connection. Only writeOut writes to the real one.
type wire Session

// New starts a session over conn, which reads nothing before Release: so it answers no ping before
// its owner has it. client is true for the side that dialled. The session owns conn, unless New
// returns an error.
func New(conn Conn, client bool, cfg Config) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	s := &Session{
		conn: conn, made: time.Now(), cfg: cfg,
		table:    table{client: client, max: cfg.MaxStreams, inbound: cfg.MaxInbound, streams: make(map[uint32]*Stream)},
		released: make(chan struct{}), over: make(chan struct{}), lead: newLead(),
	}
	s.outbox.run = func(f func()) { go f() }
	s.writer.lock = make(chan struct{}, 1)
	s.withhold.Store(new(atomic.Bool))
	start := yamux.Server
	if client {
		start = yamux.Client
	}
	var err error
	s.lib, err = start((*wire)(s), libraryConfig)
	return s, err
}

// RunOn makes the session run short functions with run from now on, instead of on new goroutines,
// whose stacks would have to grow each time. run must not wait for them.
func (s *Session) RunOn(run func(f func())) {
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	o.run = run
}

// Release lets the session read. Further calls do nothing.
func (s *Session) Release() { s.release.Do(func() { close(s.released) }) }

// Open opens a substream. Its SYN goes with the first bytes that are written on the
// connection, or alone within a millisecond; the peer may acknowledge it much later or
// never. The error is [ErrTooManyStreams] at the limit, [ErrGoingAway] after GoAway, or wraps
// [ErrSessionEnded].
func (s *Session) Open() (*Stream, error) {
	s.opens.Lock()
	defer s.opens.Unlock()
	if err := s.broken(); err != nil {
		return nil, streamEnded(err)
	}
	switch {
	case s.goingAway.Load():
		return nil, ErrGoingAway
	case !s.table.reserve():
		return nil, ErrTooManyStreams
	}
	if _, err := s.lib.OpenStream(); err != nil {
		return nil, streamEnded(s.fail(err))
	}
	if cause := s.broken(); cause != nil {
		return nil, streamEnded(cause) // the SYN may have been swallowed
	}
	st := s.opened
	s.opened = nil
	return st, nil
}

// Prompt reports whether Open and [Stream.WriteHeld] wait for nothing now: the session reads, the
// library has few substreams to forget, and few frames wait to be written.
func (s *Session) Prompt() bool {
	select {
	case <-s.released:
		return s.injecting.Load() < backlog/4 && !s.outbox.full()
	default:
		return false
	}
}

// Ping measures one round trip. It waits for the answer up to PingTimeout and then returns
// [ErrPingTimeout], which does not end the session; after GoAway it sends nothing and returns
// [ErrGoingAway]. The answer proves that the peer's multiplexer has read everything that was written
// before, and nothing more. spec: comms 5.8
func (s *Session) Ping() (Pong, error) {
	id, pong := s.pings.new()
	defer s.pings.over(id, false)
	start := time.Now()
	if err := s.outbox.send(s, newHeader(typePing, flagSYN, 0, id)); err != nil {
		if err != ErrGoingAway {
			err = streamEnded(s.fail(err))
		}
		return Pong{}, err
	}
	s.lead.wanted()
	timer := time.NewTimer(s.cfg.PingTimeout)
	defer timer.Stop()
	var err error
	select {
	case n := <-pong:
		return Pong{time.Since(start), n}, nil
	case <-s.over:
		err = streamEnded(s.Err())
	case <-timer.C:
		err = ErrPingTimeout
	}
	select {
	case n := <-pong: // it counts, whatever came together with it
		return Pong{time.Since(start), n}, nil
	default:
		return Pong{}, err
	}
}

// WithholdPongs has the session answer no ping while the flag is set, so that the peer takes
// nothing that arrives then for read. Many sessions may have the same flag. None is
// answered before Release.
func (s *Session) WithholdPongs(flag *atomic.Bool) { s.withhold.Store(flag) }

// Pongs returns how many pings of this side the peer has answered. A pong that came before a
// frame of a substream is counted before that frame can be read.
func (s *Session) Pongs() uint64 { return s.pings.came.Load() }

// GoAway tells the peer that this side is about to close, and returns when that is written.
// Call it only when every substream has ended: most peers close at once and drop bytes under
// way. spec: comms 66
func (s *Session) GoAway() error {
	s.goingAway.Store(true) // a ping is queued before it, or refused
	s.sendGoAway()
	if err := s.broken(); err != nil {
		return streamEnded(err)
	}
	return nil
}

// Close ends the session at once, without GoAway, and does not wait for the peer. When it returns,
// every Read and Write has been woken and no goroutine of the session is left.
func (s *Session) Close() error {
	_ = s.fail(ErrClosed)
	s.lib.Close() // waits for its goroutines
	s.outbox.stop()
	return nil
}

// NumStreams returns the number of live substreams: from the SYN to the end of both halves
// or a reset by either side.
func (s *Session) NumStreams() int { return s.Stats().Streams }

// Room returns how many more substreams Open would open now.
func (s *Session) Room() int {
	t := &s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room()
}

// Quiet returns the time since a frame of the peer last came on any substream, or else since
// the session was made. Pings do not count.
func (s *Session) Quiet() time.Duration {
	return time.Since(s.made) - time.Duration(s.heardAt.Load())
}

// WriteBlocked returns how long the present write to the connection has taken, 0 if there is
// none. One write is at most 64 KiB, so with a peer that reads, however slowly, it ends within
// seconds.
func (s *Session) WriteBlocked() time.Duration {
	began := s.writer.began.Load()
	if began == 0 {
		return 0
	}
	return time.Since(s.made) - time.Duration(began-1)
}

// Stats are the counters of a session.
type Stats struct {
	BytesIn, BytesOut uint64 // of the connection, headers included
	Streams           int    // live
	Stalls            uint64 // writes that had to wait because the peer did not read
	Unagreed          uint64 // substreams of the peer that ended without an agreed protocol, if they are limited
	HeldBack          bool   // the peer waits because of them
}

// Stats returns the counters.
func (s *Session) Stats() Stats {
	t := &s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
		Streams: len(t.streams), Stalls: s.stalls.Load(), Unagreed: t.churn.total, HeldBack: t.churn.untilSet.Load(),
	}
}

// Use is what a substream is for.
type Use struct {
	Protocol protocol.ID
	Owner    string // path of the actor that has it, as far as it is known
}

// For notes what the substream is for, to be shown.
func (st *Stream) For(u Use) { st.use.Store(&u) }

// StreamStats describe a live substream.
type StreamStats struct {
	ID       uint32
	Inbound  bool // the peer has opened it
	Use      Use  // zero while its protocol is not agreed on
	Age      time.Duration
	BytesIn  uint64 // announced by the peer
	BytesOut uint64 // for which there was credit
	CanSend  int64  // bytes that the peer takes now
}

// Streams describes the live substreams, at most limit of them, those with the lowest ids.
func (s *Session) Streams(limit int) []StreamStats {
	t := &s.table
	t.mu.Lock()
	all := slices.SortedFunc(maps.Values(t.streams), func(a, b *Stream) int { return cmp.Compare(a.id, b.id) })
	t.mu.Unlock()
	now := time.Since(s.made)
	var found []StreamStats
	for _, st := range all[:min(limit, len(all))] {
		d := StreamStats{ID: st.id, Inbound: st.inbound, Age: now - st.began}
		if u := st.use.Load(); u != nil {
			d.Use = *u
		}
		st.in.mu.Lock()
		d.BytesIn = st.in.sent
		st.in.mu.Unlock()
		st.out.mu.Lock()
		d.BytesOut, d.CanSend = st.out.wrote, st.out.window
		st.out.mu.Unlock()
		found = append(found, d)
	}
	return found
}
