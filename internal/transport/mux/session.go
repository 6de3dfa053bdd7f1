package mux

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Session is one multiplexed connection. It ends with the first failure of the
// connection, an offence or GoAway of the peer, or Close. All methods may be
// called by any goroutine.
type Session struct {
	link    *link
	release sync.Once
}

// New starts a session over conn. client is true for the side that dialled. The session owns
// conn, unless New returns an error.
func New(conn Conn, client bool, cfg Config) (*Session, error) {
	s, err := NewHeld(conn, client, cfg)
	if err == nil {
		s.Release()
	}
	return s, err
}

// NewHeld is New for a session that reads nothing before Release. So it answers no ping
// before its owner has it.
func NewHeld(conn Conn, client bool, cfg Config) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Session{link: newLink(conn, client, cfg.WithDefaults())}
	start := yamux.Server
	if client {
		start = yamux.Client
	}
	lib, err := start(s.link, libraryConfig)
	if err != nil {
		return nil, err
	}
	s.link.lib = lib
	return s, nil
}

// RunOn makes the session run short functions with run from now on, instead of on new goroutines,
// whose stacks would have to grow each time. run must not wait for them.
func (s *Session) RunOn(run func(f func())) {
	o := &s.link.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	o.run = run
}

// Release lets a held session read. Further calls do nothing.
func (s *Session) Release() { s.release.Do(func() { close(s.link.released) }) }

// Open opens a substream. Its SYN goes with the first bytes that are written on the
// connection, or alone within a millisecond; the peer may acknowledge it much later or
// never. The error is [ErrTooManyStreams] at the limit, [ErrGoingAway] after GoAway, or wraps
// [ErrSessionEnded].
func (s *Session) Open() (*Stream, error) {
	l := s.link
	l.opens.Lock()
	defer l.opens.Unlock()
	if err := l.broken(); err != nil {
		return nil, streamEnded(err)
	}
	switch {
	case l.goingAway.Load():
		return nil, ErrGoingAway
	case !l.table.reserve():
		return nil, ErrTooManyStreams
	}
	if _, err := l.lib.OpenStream(); err != nil {
		return nil, streamEnded(l.fail(err))
	}
	if cause := l.broken(); cause != nil {
		return nil, streamEnded(cause) // the SYN may have been swallowed
	}
	st := l.opened
	l.opened = nil
	return st, nil
}

// Prompt reports whether Open and [Stream.WriteHeld] wait for nothing now: the session reads, the
// library has room for substreams that the peer has not acknowledged, and few frames wait to be
// written.
func (s *Session) Prompt() bool {
	select {
	case <-s.link.released:
		return s.link.injecting.Load() < backlog/4 && !s.link.outbox.full()
	default:
		return false
	}
}

// Ping measures one round trip. It waits for the answer up to PingTimeout and then returns
// [ErrPingTimeout], which does not end the session; after GoAway it sends nothing and returns
// [ErrGoingAway]. The answer proves that the peer's multiplexer has read everything that was written
// before, and nothing more. spec: comms 5.8
func (s *Session) Ping() (Pong, error) { return s.link.ping() }

// WithholdPongs has the session answer no ping while the flag is set, so that the peer takes
// nothing that arrives then for read. Many sessions may have the same flag. A session that is
// held ([NewHeld]) answers none before Release.
func (s *Session) WithholdPongs(flag *atomic.Bool) { s.link.withhold.Store(flag) }

// Pongs returns how many pings of this side the peer has answered. A pong that came before a
// frame of a substream is counted before that frame can be read.
func (s *Session) Pongs() uint64 { return s.link.pings.came.Load() }

// GoAway tells the peer that this side is about to close, and returns when that is written.
// Call it only when every substream has ended: most peers close at once and drop bytes under
// way. spec: comms 66
func (s *Session) GoAway() error {
	s.link.sendGoAway()
	if err := s.link.broken(); err != nil {
		return streamEnded(err)
	}
	return nil
}

// Close ends the session at once, without GoAway, and does not wait for the peer. When it returns,
// every Read and Write has been woken and no goroutine of the session is left.
func (s *Session) Close() error {
	s.link.end(ErrClosed)
	s.link.Close()
	s.link.lib.Close() // waits for its goroutines
	s.link.outbox.stop()
	return nil
}

// Err returns nil while the session lives, and then the cause of its end, which wraps
// [ErrSessionEnded] or is a *[protocol.Violation].
func (s *Session) Err() error { return s.link.err() }

// NumStreams returns the number of live substreams: from the SYN to the end of both halves
// or a reset by either side.
func (s *Session) NumStreams() int { return s.Stats().Streams }

// Room returns how many more substreams Open would open now.
func (s *Session) Room() int {
	t := s.link.table
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room()
}

// Quiet returns the time since a frame of the peer last came on any substream, or else since
// the session was made. Pings do not count.
func (s *Session) Quiet() time.Duration {
	return time.Since(s.link.made) - time.Duration(s.link.heardAt.Load())
}

// WriteBlocked returns how long the present write to the connection has taken, 0 if there is
// none. One write is at most 64 KiB, so with a peer that reads, however slowly, it ends within
// seconds.
func (s *Session) WriteBlocked() time.Duration {
	began := s.link.writer.began.Load()
	if began == 0 {
		return 0
	}
	return time.Since(s.link.made) - time.Duration(began-1)
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
	l, t := s.link, s.link.table
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{
		BytesIn: l.bytesIn.Load(), BytesOut: l.bytesOut.Load(),
		Streams: len(t.streams), Stalls: l.stalls.Load(), Unagreed: t.churn.total, HeldBack: t.churn.untilSet.Load(),
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
	Unread   int    // bytes that wait to be read
	CanSend  int64  // bytes that the peer takes now
}

// Streams describes the live substreams, at most limit of them, those with the lowest ids.
func (s *Session) Streams(limit int) []StreamStats {
	t := s.link.table
	t.mu.Lock()
	all := slices.SortedFunc(maps.Values(t.streams), func(a, b *Stream) int { return cmp.Compare(a.id, b.id) })
	t.mu.Unlock()
	now := time.Since(s.link.made)
	var found []StreamStats
	for _, st := range all[:min(limit, len(all))] {
		d := StreamStats{ID: st.id, Inbound: st.inbound, Age: now - st.began}
		if u := st.use.Load(); u != nil {
			d.Use = *u
		}
		st.in.mu.Lock()
		d.BytesIn, d.Unread = st.in.sent, st.in.unread
		st.in.mu.Unlock()
		st.out.mu.Lock()
		d.BytesOut, d.CanSend = st.out.wrote, st.out.window
		st.out.mu.Unlock()
		found = append(found, d)
	}
	return found
}
