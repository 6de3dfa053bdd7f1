package wirecheck

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/noise"
)

// The multiplexer's frames: spec: comms 5.2.
const (
	kindData   = 0
	kindWindow = 1
	kindPing   = 2
	kindGoAway = 3

	syn = 1
	ack = 2
	fin = 4
	rst = 8

	headerLen   = 12
	startWindow = 256 << 10
)

// Limits on the memory that a node can make a session use.
const (
	maxStreams = 1024
	maxHeld    = 64 << 10 // bytes of one substream
	maxBody    = 16 << 20 // of one frame
)

// session is a connection after the exchange of identities. It writes and reads the
// multiplexer's frames itself, as the client. It answers pings and resets substreams
// that the node opens, unless the check wants the node's messages; everything else is
// up to the check.
type session struct {
	p    *probe
	wire *wire
	conn *noise.Conn
	said *identityFields

	write sync.Mutex

	mu      sync.Mutex
	changed chan struct{} // closed when something has come
	at      int           // bytes of the multiplexer that have come
	streams map[uint32]*stream
	opened  []uint32        // by the node
	hears   bool            // keep what the node opens, for [session.letter]
	pongs   map[uint32]bool // that are awaited
	goAway  bool
	bad     error // a frame that no rule allows
	err     error // the end

	last uint32 // ping
}

// stream is the state of a substream and the bytes that have arrived on it.
type stream struct {
	data    []byte
	read    int  // bytes of data that session.letter has taken
	agreed  bool // on the messaging protocol, if the node opened it
	fin     bool
	finKind byte
	rst     bool
	credit  uint32 // granted to us beyond the first window
}

func (s *stream) ended() bool { return s.fin || s.rst }

// connect dials the node and sets the connection up completely.
func (p *probe) connect() (*session, error) {
	_, c, err := p.secure()
	if err != nil {
		return nil, err
	}
	return p.start(c, p.claim().frame())
}

// start sends an identity frame in one write or several, reads the node's, and starts
// to read the multiplexer's frames.
func (p *probe) start(c *noise.Conn, first ...[]byte) (*session, error) {
	return p.startAwaiting(c, nil, first...)
}

// startAwaiting is start for writes that contain pings with these values.
func (p *probe) startAwaiting(c *noise.Conn, pings []uint32, first ...[]byte) (*session, error) {
	for _, b := range first {
		c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.Write(b); err != nil {
			return nil, &setupError{"identity", err}
		}
	}
	frame, err := hear(c, patience)
	if err != nil {
		return nil, &setupError{"identity", err}
	}
	s := &session{
		p: p, conn: c, changed: make(chan struct{}),
		streams: map[uint32]*stream{}, pongs: map[uint32]bool{}, hears: p.hears,
	}
	for _, value := range pings {
		s.pongs[value] = true
	}
	s.wire, _ = c.Conn.(*wire)
	if s.said, err = parse(frame); err != nil {
		return nil, &setupError{"identity", err}
	}
	var reading sync.WaitGroup
	reading.Go(s.read)
	p.opened = append(p.opened, reading.Wait)
	return s, nil
}

// read reads the node's frames until the connection ends.
func (s *session) read() {
	for {
		err := s.frame()
		if err == nil {
			continue
		}
		s.change(func() { s.err = err })
		return
	}
}

// change calls f under the lock and wakes the waiting goroutines.
func (s *session) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// frame reads one frame and records it.
func (s *session) frame() error {
	var h [headerLen]byte
	if _, err := io.ReadFull(s.conn, h[:]); err != nil {
		return err
	}
	flags, id, length := binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	if err := s.checkHeader(h, flags, id, length); err != nil {
		s.change(func() { s.bad = err })
		return err
	}
	var body []byte
	if h[1] == kindData {
		body = make([]byte, min(length, maxHeld))
		if _, err := io.ReadFull(s.conn, body); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, s.conn, int64(length)-int64(len(body))); err != nil {
			return err
		}
	}
	var reset bool
	var err error
	s.change(func() {
		s.at += headerLen + int(length)*btoi(h[1] == kindData)
		reset, err = s.note(h[1], flags, id, length, body)
	})
	switch {
	case err != nil:
		return err
	case reset:
		return s.send(kindData, rst, id, 0, nil)
	case h[1] < kindPing && flags&syn != 0:
		return s.send(kindWindow, ack, id, 0, nil)
	case h[1] == kindPing && flags&syn != 0:
		return s.send(kindPing, ack, 0, length, nil)
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkHeader returns an error for a header that no multiplexer sends.
func (s *session) checkHeader(h [headerLen]byte, flags uint16, id, length uint32) error {
	const where = "the multiplexer's bytes"
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	switch {
	case h[0] != 0:
		return differsAt(where, at, "version 0", "%d in the header %x", h[0], h)
	case h[1] > kindGoAway:
		return differsAt(where, at+1, "a frame of type 0 to 3", "%d in the header %x", h[1], h)
	case flags > syn|ack|fin|rst:
		return differsAt(where, at+2, "flags within 000f", "%04x in the header %x", flags, h)
	case h[1] >= kindPing && id != 0:
		return differsAt(where, at+4, "stream 0", "%d in the header %x", id, h)
	case h[1] == kindData && length > maxBody:
		return differsAt(where, at+8, "a body of at most 1 MiB", "%d bytes in the header %x", length, h)
	}
	return nil
}

// note keeps what a frame says. reset tells that it opens a substream that the check does
// not want.
func (s *session) note(kind byte, flags uint16, id, length uint32, body []byte) (reset bool, err error) {
	switch {
	case kind == kindGoAway:
		s.goAway = true
		return false, nil
	case kind == kindPing && flags&ack != 0:
		if !s.pongs[length] {
			s.bad = differsAt("the multiplexer's bytes", s.at-4, "no pong that nobody asked for", "one with the value %08x", length)
			return false, s.bad
		}
		delete(s.pongs, length)
		return false, nil
	case kind == kindPing:
		return false, nil
	}
	if flags&syn != 0 {
		if len(s.opened) >= maxStreams {
			return false, fmt.Errorf("it opens more than %d substreams", maxStreams)
		}
		s.opened = append(s.opened, id)
		if !s.hears {
			return true, nil
		}
		s.streams[id] = new(stream)
	}
	st := s.streams[id]
	if st == nil {
		return false, nil // one that we have reset, or that was never there
	}
	st.data = append(st.data, body[:min(len(body), maxHeld-len(st.data))]...)
	if kind == kindWindow {
		st.credit += length
	}
	if flags&fin != 0 && !st.fin {
		st.fin, st.finKind = true, kind
	}
	st.rst = st.rst || flags&rst != 0
	return false, nil
}

// send writes a frame. Of the write's errors it returns only a timeout: the reader
// reports the connection's end.
func (s *session) send(kind byte, flags uint16, id, length uint32, body []byte) error {
	b := append(header(kind, flags, id, length), body...)
	s.write.Lock()
	defer s.write.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := s.conn.Write(b); err != nil && transport.IsTimeout(err) {
		return differs("that it reads what is sent", "no room to write %s within %v", count(len(b), "byte"), patience)
	}
	return nil
}

func header(kind byte, flags uint16, id, length uint32) []byte {
	b := make([]byte, headerLen, 2*headerLen)
	b[1] = kind
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], id)
	binary.BigEndian.PutUint32(b[8:], length)
	return b
}

// open opens a substream with its first bytes.
func (s *session) open(id uint32, body ...byte) error {
	s.mu.Lock()
	s.streams[id] = &stream{}
	s.mu.Unlock()
	return s.send(kindData, syn, id, uint32(len(body)), body)
}

// data sends bytes on a substream.
func (s *session) data(id uint32, body ...byte) error {
	return s.send(kindData, 0, id, uint32(len(body)), body)
}

// stream returns what has arrived on a substream so far.
func (s *session) stream(id uint32) stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[id]; st != nil {
		c := *st
		c.data = append([]byte(nil), st.data...)
		return c
	}
	return stream{}
}

// end returns the error that ended the reading, or nil.
func (s *session) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// wait waits until ok, the end of the connection, or d.
func (s *session) wait(d time.Duration, ok func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for {
		s.mu.Lock()
		changed, ended := s.changed, s.err != nil
		s.mu.Unlock()
		switch {
		case ok():
			return true
		case ended:
			return false
		}
		select {
		case <-changed:
		case <-limit.C:
			return ok()
		}
	}
}

// ping sends a ping and waits for the answer. Then the node has read everything that
// was sent before.
func (s *session) ping() error {
	value, err := s.sendPing()
	if err != nil {
		return err
	}
	return s.pong(value)
}

func (s *session) sendPing() (uint32, error) {
	s.mu.Lock()
	s.last++
	value := 0xa5000000 | s.last
	s.pongs[value] = true
	s.mu.Unlock()
	return value, s.send(kindPing, syn, 0, value, nil)
}

func (s *session) pong(value uint32) error {
	answered := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.pongs[value]
	}
	if s.wait(patience, answered) {
		return nil
	}
	want := fmt.Sprintf("the pong %x", header(kindPing, ack, 0, value))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.bad != nil:
		return s.bad
	case s.err != nil:
		return differs(want, "the end of the connection (%v)", s.err)
	}
	return differs(want, "none within %v", patience)
}

// lives checks that the connection is open and stays open for a moment.
func (s *session) lives() error {
	if err := s.ping(); err != nil {
		return err
	}
	if s.wait(quiet, func() bool { return false }); s.end() != nil {
		return differs("a connection that goes on", "its end (%v)", s.end())
	}
	return s.ping()
}

// dies checks that the connection ends or the node sends GoAway.
func (s *session) dies() error {
	over := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.goAway || s.err != nil
	}
	if s.wait(patience, over) {
		return s.wrong()
	}
	return differs("the end of the connection", "an open one after %v", patience)
}

// closes checks that the connection ends.
func (s *session) closes() error {
	if s.wait(patience, func() bool { return s.end() != nil }) {
		return s.wrong()
	}
	return differs("the end of the connection", "an open one after %v", patience)
}

// wrong returns the error of a frame of the node that no rule allows, or nil.
func (s *session) wrong() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// answers checks that exactly these bytes arrive on a substream, and no more for a
// moment.
func (s *session) answers(id uint32, want []byte) error {
	s.wait(patience, func() bool {
		st := s.stream(id)
		return len(st.data) >= len(want) || st.ended()
	})
	if err := s.ping(); err != nil && s.end() == nil {
		return err
	}
	s.wait(quiet, func() bool { return len(s.stream(id).data) > len(want) })
	st := s.stream(id)
	err := compare(fmt.Sprintf("what it wrote on substream %d", id), want, st.data)
	if err == nil {
		return s.wrong()
	}
	if m, ok := err.(*mismatch); ok && st.ended() {
		m.got += ", then the end of the substream"
	}
	return err
}

// stays checks that a substream is open and that nothing has arrived on it.
func (s *session) stays(id uint32) error {
	if err := s.answers(id, nil); err != nil {
		return err
	}
	return s.goesOn(id)
}

// goesOn checks that a substream has not ended.
func (s *session) goesOn(id uint32) error {
	if err := s.lives(); err != nil {
		return err
	}
	if st := s.stream(id); st.ended() {
		return differs("an open substream", "%s", st.how())
	}
	return nil
}

func (s *stream) how() string {
	switch {
	case s.rst:
		return "a reset"
	case s.fin && s.finKind == kindWindow:
		return "FIN on a window update"
	case s.fin:
		return "FIN"
	}
	return "no end"
}

// ends checks that a substream ends within d, by FIN or reset. It sends pings
// meanwhile, because some releases hold a reset back until there is other traffic
// (spec: comms 5.3).
func (s *session) ends(id uint32, d time.Duration) error {
	for until := time.Now().Add(d); time.Now().Before(until); {
		if s.wait(min(quiet, d), func() bool { st := s.stream(id); return st.ended() }) {
			return s.wrong()
		}
		if err := s.ping(); err != nil {
			return err
		}
	}
	return differs("the end of the substream, by FIN or reset", "an open one after %v", d)
}
