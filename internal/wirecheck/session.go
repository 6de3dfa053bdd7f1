package wirecheck

import (
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
)

// Limits on the memory that a node can make a session use.
const (
	maxStreams = 1024
	maxHeld    = 64 << 10 // bytes of one substream
	maxBody    = 16 << 20 // of one frame
)

// session is a connection after the exchange of identities, as the client. It answers
// pings and resets substreams that the node opens, unless the check wants the node's
// messages; everything else is up to the check.
type session struct {
	*rawpeer.Peer
	p    *probe
	wire *rawConn
	said *identityFields

	agreed map[uint32]bool // the node's substreams that are for messages
	at     int             // bytes of the multiplexer that have come
	bad    error           // a frame that no rule allows; set before the end
}

// patient is a connection that waits for room for a limited time: see write.
type patient struct{ *noise.Conn }

func (c patient) Write(b []byte) (int, error) { return len(b), write(c.Conn, b) }

// connect dials the node and sets the connection up completely.
func (p *probe) connect() (*session, error) {
	_, c, err := p.secure()
	if err != nil {
		return nil, err
	}
	return p.start(c, p.claim().Frame())
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
	s := &session{p: p, agreed: map[uint32]bool{}}
	s.wire, _ = c.Conn.(*rawConn)
	if s.said, err = parse(frame); err != nil {
		return nil, &setupError{"identity", err}
	}
	o := rawpeer.Options{Check: s.check, MaxStreams: maxStreams, MaxHeld: maxHeld, Reply: rawpeer.RST, InTurn: true}
	if p.hears {
		o.Reply = rawpeer.ACK
	}
	s.Peer = rawpeer.New(patient{c}, o)
	for _, value := range pings {
		s.Await(value)
	}
	var reading sync.WaitGroup
	reading.Go(s.Run)
	p.opened = append(p.opened, reading.Wait)
	return s, nil
}

// check returns an error for a frame that no rule allows.
func (s *session) check(h rawpeer.Header) error {
	const where = "the multiplexer's bytes"
	switch {
	case h.Version() != 0:
		s.bad = differsAt(where, s.at, "version 0", "%d in the header %x", h.Version(), h)
	case h.Type() > rawpeer.TypeGoAway:
		s.bad = differsAt(where, s.at+1, "a frame of type 0 to 3", "%d in the header %x", h.Type(), h)
	case h.Flags() > rawpeer.SYN|rawpeer.ACK|rawpeer.FIN|rawpeer.RST:
		s.bad = differsAt(where, s.at+2, "flags within 000f", "%04x in the header %x", h.Flags(), h)
	case h.Type() >= rawpeer.TypePing && h.ID() != 0:
		s.bad = differsAt(where, s.at+4, "stream 0", "%d in the header %x", h.ID(), h)
	case h.Type() == rawpeer.TypeData && h.Length() > maxBody:
		s.bad = differsAt(where, s.at+8, "a body of at most 1 MiB", "%d bytes in the header %x", h.Length(), h)
	case h.Has(rawpeer.TypePing, rawpeer.ACK) && !s.Awaits(h.Length()):
		s.bad = differsAt(where, s.at+8, "no pong that nobody asked for", "one with the value %08x", h.Length())
	}
	if s.at += rawpeer.HeaderLen; h.Type() == rawpeer.TypeData {
		s.at += int(h.Length())
	}
	return s.bad
}

// open opens a substream with its first bytes.
func (s *session) open(id uint32, body ...byte) error {
	return s.Send(rawpeer.TypeData, rawpeer.SYN, id, uint32(len(body)), body...)
}

// data sends bytes on a substream.
func (s *session) data(id uint32, body ...byte) error {
	return s.Send(rawpeer.TypeData, 0, id, uint32(len(body)), body...)
}

// ping sends a ping and waits for the answer. Then the node has read everything that
// was sent before.
func (s *session) ping() error {
	value, err := s.Ping()
	if err != nil {
		return err
	}
	return s.pong(value)
}

func (s *session) pong(value uint32) error {
	if s.Wait(patience, func() bool { return !s.Awaits(value) }) {
		return nil
	}
	want := fmt.Sprintf("the pong %x", rawpeer.AppendHeader(nil, rawpeer.TypePing, rawpeer.ACK, 0, value))
	end, bad := s.Err(), s.wrong()
	switch {
	case bad != nil:
		return bad
	case end != nil:
		return differs(want, "the end of the connection (%v)", end)
	}
	return differs(want, "none within %v", patience)
}

// lives checks that the connection is open and stays open for a moment.
func (s *session) lives() error {
	if err := s.ping(); err != nil {
		return err
	}
	if s.Wait(quiet, func() bool { return false }); s.Err() != nil {
		return differs("a connection that goes on", "its end (%v)", s.Err())
	}
	return s.ping()
}

// dies checks that the connection ends or the node sends GoAway.
func (s *session) dies() error {
	if s.Wait(patience, func() bool { return s.GoAways() > 0 || s.Err() != nil }) {
		return s.wrong()
	}
	return differs("the end of the connection", "an open one after %v", patience)
}

// closes checks that the connection ends.
func (s *session) closes() error {
	if s.Wait(patience, func() bool { return s.Err() != nil }) {
		return s.wrong()
	}
	return differs("the end of the connection", "an open one after %v", patience)
}

// wrong returns the error of a frame of the node that no rule allows, or nil.
func (s *session) wrong() error {
	if s.Err() == nil {
		return nil
	}
	return s.bad
}

// answers checks that exactly these bytes arrive on a substream, and no more for a
// moment.
func (s *session) answers(id uint32, want []byte) error {
	s.Wait(patience, func() bool {
		st := s.Stream(id)
		return len(st.Data) >= len(want) || st.Ended()
	})
	if err := s.ping(); err != nil && s.Err() == nil {
		return err
	}
	s.Wait(quiet, func() bool { return len(s.Stream(id).Data) > len(want) })
	st := s.Stream(id)
	err := compare(fmt.Sprintf("what it wrote on substream %d", id), want, []byte(st.Data))
	if err == nil {
		return s.wrong()
	}
	if m, ok := err.(*mismatch); ok && st.Ended() {
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
	if st := s.Stream(id); st.Ended() {
		return differs("an open substream", "%s", how(st))
	}
	return nil
}

// how names the end of a substream.
func how(s rawpeer.Stream) string {
	switch {
	case s.RST:
		return "a reset"
	case s.FIN && s.FINType == rawpeer.TypeWindow:
		return "FIN on a window update"
	case s.FIN:
		return "FIN"
	}
	return "no end"
}

// ends checks that a substream ends within d, by FIN or reset. It sends pings
// meanwhile, because some releases hold a reset back until there is other traffic
// (spec: comms 5.3).
func (s *session) ends(id uint32, d time.Duration) error {
	for until := time.Now().Add(d); time.Now().Before(until); {
		if s.Wait(min(quiet, d), func() bool { return s.Stream(id).Ended() }) {
			return s.wrong()
		}
		if err := s.ping(); err != nil {
			return err
		}
	}
	return differs("the end of the substream, by FIN or reset", "an open one after %v", d)
}
