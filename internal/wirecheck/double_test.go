package wirecheck

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// double is a node by hand that keeps the rules, but for one: its fault. What
// each fault does stands where the rule would be kept.
type double struct {
	fault  string
	secret *identity.Secret
	target Target

	mu      sync.Mutex
	members map[*doubleMux]bool // connections
	relays  int                 // Joins that had somebody to be relayed to
	kept    []doubleStored      // oldest first
}

// has tells whether the double has this fault.
func (d *double) has(fault string) bool { return d.fault == fault }

// startDouble starts a double in a network of its own.
func startDouble(t testing.TB, fault string) *double {
	t.Helper()
	d := &double{fault: fault, secret: gamelantest.Secret(1), members: map[*doubleMux]bool{}}
	tr := memory.NewNetwork().Transport()
	l, err := tr.Listen(t.Context(), ma.StringCast("/memory/1"))
	if err != nil {
		t.Fatal(err)
	}
	d.target = Target{
		Dial: func(ctx context.Context) (net.Conn, error) { return tr.Dial(ctx, l.Multiaddr()) },
		Key:  d.secret.PublicKey(), Network: protocol.LocalNet, UserAgent: "test",
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				d.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return d
}

// serve keeps one connection.
func (d *double) serve(c net.Conn) {
	var first [1]byte
	limit := 6 * time.Second
	switch {
	case d.has("hurries the first byte"):
		limit = time.Second
	case d.has("waits for the first byte"):
		limit = time.Hour
	}
	c.SetReadDeadline(time.Now().Add(limit))
	if _, err := io.ReadFull(c, first[:]); err != nil {
		return
	}
	if d.has("answers the first byte") {
		c.Write(first[:])
	}
	switch b := first[0]; {
	case b == protocol.LivenessByte && d.has("answers liveness with noise"):
		c.Write([]byte("pong\n"))
		return
	case b == 0x10 && d.has("has another wire byte"):
		return
	case b != 0x10 && !d.has("takes any first byte"):
		return
	}
	secure := d.handshake(c)
	if secure == nil {
		if d.has("keeps failed handshakes") {
			c.SetReadDeadline(time.Time{})
			io.Copy(io.Discard, c)
		}
		return
	}
	who, ok := d.identities(secure)
	if !ok {
		return
	}
	secure.SetDeadline(time.Time{})
	m := &doubleMux{
		double: d, conn: secure, peer: secure.RemoteKey(), features: who.Claim.Features, own: 2, began: time.Now(),
		streams: map[uint32]*doubleStream{}, answered: map[uint64]bool{},
	}
	d.meet(m, true)
	defer d.meet(m, false)
	defer m.stop()
	if m.features&identity.FeatureStoreForward != 0 {
		m.askStored()
	}
	m.run()
}

// meet adds a connection or takes it away.
func (d *double) meet(m *doubleMux, here bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if here {
		d.members[m] = true
		return
	}
	delete(d.members, m)
}

// handshake returns nil when it fails.
func (d *double) handshake(c net.Conn) *noise.Conn {
	w := &rawpeer.Wire{Conn: c}
	switch {
	case d.has("writes the length of message 2 little-endian"):
		w.EditOne(0, func(b []byte) []byte { b[0], b[1] = b[1], b[0]; return b })
	case d.has("damages message 2"):
		w.EditOne(0, func(b []byte) []byte { b[60] ^= 1; return b })
	case d.has("writes more than message 2"):
		w.EditOne(0, func(b []byte) []byte { return append(b, 0, 0) })
	}
	cfg := noise.Config{Static: d.secret}
	switch {
	case d.has("has another key"):
		cfg.Static = gamelantest.Secret(2)
	case d.has("hurries the handshake"):
		cfg.MessageTimeout = time.Second
	case d.has("waits for the handshake"):
		cfg.MessageTimeout = time.Hour
	}
	var raw net.Conn = w
	if d.has("chokes on frames of length 0") {
		raw = &noZero{Conn: w}
	}
	secure, err := noise.Server(raw, cfg)
	if err != nil {
		return nil
	}
	return secure
}

// noZero ends at a read that begins with a frame of length 0.
type noZero struct{ net.Conn }

func (c *noZero) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n >= 2 && b[0] == 0 && b[1] == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// identities exchanges identities; false ends the connection.
func (d *double) identities(c *noise.Conn) (who identify.Message, ok bool) {
	profile := protocol.Tari(protocol.LocalNet)
	own := d.frame()
	say := func() { c.Write(own) }
	if d.has("waits for our identity") {
		defer say()
	} else {
		say()
	}
	switch {
	case d.has("hurries the identity"):
		c.SetReadDeadline(time.Now().Add(time.Second))
	case !d.has("waits for the identity"):
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	if d.has("reads the identity in one piece") {
		b := make([]byte, 2048)
		n, err := c.Read(b)
		if err != nil || n < 3 || n != 3+int(binary.LittleEndian.Uint16(b[1:])) {
			return who, false
		}
		return who, true
	}
	if d.has("takes every claim") {
		var h [3]byte
		if _, err := io.ReadFull(c, h[:]); err != nil {
			return who, false
		}
		_, err := io.CopyN(io.Discard, c, int64(binary.LittleEndian.Uint16(h[1:])))
		return who, err == nil
	}
	body, err := identify.Read(c, profile)
	if err != nil {
		return who, false
	}
	who, err = identify.Decode(body, c.RemoteKey(), profile, time.Now())
	if err != nil {
		return who, false
	}
	return who, !d.has("refuses odd claims") || plain(body, who)
}

// plain tells whether a claim is as any node would send it.
func plain(body []byte, m identify.Message) bool {
	again, err := identify.Append(nil, 0, m)
	age := time.Since(time.Unix(m.Claim.Signature.UpdatedAt, 0))
	return err == nil && len(again) == 3+len(body) && len(m.Claim.Addresses) == 1 &&
		bytes.Equal(m.Claim.Addresses[0], ourAddress) && len(m.Protocols) == 0 && len(m.UserAgent) < 50 && age.Abs() < time.Hour
}

// frame is the double's own identity frame.
func (d *double) frame() []byte {
	p := &probe{Target: Target{UserAgent: "double"}, secret: d.secret}
	addresses := [][]byte{ma.StringCast("/ip4/1.2.3.4/tcp/80").Bytes()}
	at, features := time.Now(), identity.FeatureNode
	switch d.fault {
	case "claims six addresses":
		for len(addresses) < 6 {
			addresses = append(addresses, addresses[0])
		}
	case "claims no address":
		addresses, features = nil, identity.FeatureNone // only a client may
	case "claims port 0":
		addresses = append(addresses, []byte(port0))
	case "dates its claim ahead":
		at = at.Add(25 * time.Hour)
	}
	c := p.featured(features, at, addresses...)
	c.Protocols = []string{"t/other/1", messagingID, dhtID}
	switch d.fault {
	case "signs other features":
		c.Features = 1
	case "has unknown features":
		c.Features = 4
	case "is version 1":
		c.Version = 1
	case "lists 21 protocols":
		for len(c.Protocols) < 21 {
			c.Protocols = append(c.Protocols, "t/x/1")
		}
	case "lists a long protocol":
		c.Protocols[0] = string(make([]byte, 51))
	case "has a long user agent":
		c.Agent = "0123456789012345678901234567890123456789012345678901"
	case "has a user agent in colour":
		c.Agent = "\x1b[31mred"
	case "lists a protocol with a comma":
		c.Protocols[0] = "t/other/1,2"
	case "does not sign":
		c.Signature = nil
	case "has a message of odds and ends":
		c.Extra = []byte{0x07}
	case "does not take messages":
		c.Protocols = c.Protocols[:1]
	case "has no DHT":
		c.Protocols = c.Protocols[:2]
	}
	b := c.Frame()
	switch d.fault {
	case "writes the identity's length big-endian":
		b[1], b[2] = b[2], b[1]
	case "has a long identity":
		b = rawpeer.IdentityFrame(0, 0, rawpeer.AppendBytes(b[3:], 15, make([]byte, 1024)))
	}
	return b
}

// doubleMux is the double's multiplexer.
type doubleMux struct {
	*double
	conn    *noise.Conn
	write   sync.Mutex
	streams map[uint32]*doubleStream // of the reading goroutine only
	current uint32                   // the messaging substream
	pings   int

	peer     identity.PublicKey
	features identity.Features
	began    time.Time
	own      uint32          // the last substream that it has opened; under mu
	answered map[uint64]bool // nonces, of the reading goroutine only
	asked    int             // requests for stored messages under way, of the reading goroutine only
}

type doubleStream struct {
	id     uint32
	limit  *time.Timer // of the negotiation
	in     []byte
	rounds int
	agreed bool
	skip   int // bytes of a message

	lists   bool // a session of t/dht/1
	greeted bool
}

func (m *doubleMux) stop() {
	for _, s := range m.streams {
		s.limit.Stop()
	}
}

func (m *doubleMux) send(kind byte, flags uint16, id, length uint32, body ...byte) {
	m.write.Lock()
	defer m.write.Unlock()
	if m.has("sends empty frames") && m.pings == 5 {
		// One that decrypts cannot be had from package noise; the length says
		// enough.
		m.conn.Conn.Write(append([]byte{0, 16}, make([]byte, 16)...))
		return
	}
	m.conn.Write(append(rawpeer.AppendHeader(nil, kind, flags, id, length), body...))
}

// run ends with the connection.
func (m *doubleMux) run() {
	if m.has("sends a pong unasked") {
		m.send(rawpeer.TypePing, rawpeer.ACK, 0, 77)
	}
	if m.has("sends frames of type 9") {
		m.send(9, 0, 0, 0)
	}
	switch {
	case m.has("opens odd substreams"):
		m.send(rawpeer.TypeWindow, rawpeer.SYN, 5, 0)
	case m.has("opens a substream"):
		m.send(rawpeer.TypeWindow, rawpeer.SYN, 2, 0)
	}
	for {
		f, err := rawpeer.ReadFrame(m.conn, 0, nil)
		if err != nil {
			m.linger(err)
			return
		}
		switch f.Type() {
		case rawpeer.TypePing:
			m.ping(f.Flags(), f.Length())
			continue
		case rawpeer.TypeGoAway:
			if m.has("stays after GoAway") {
				continue
			}
			return
		}
		if len(f.Body) > 60_000 && m.has("chokes on long frames") || !m.frame(f.Type(), f.Flags(), f.ID(), f.Body) {
			return
		}
	}
}

// linger keeps a connection whose reading has ended, if that is the fault.
func (m *doubleMux) linger(err error) {
	if err == io.EOF && m.has("stays after the end of our half") || err != io.EOF && m.has("stays after a damaged frame") {
		time.Sleep(time.Minute)
	}
}

func (m *doubleMux) ping(flags uint16, value uint32) {
	if flags&rawpeer.SYN == 0 {
		return
	}
	m.pings++
	switch {
	case m.has("does not answer pings"):
	case m.has("answers pings with SYN"):
		m.send(rawpeer.TypePing, rawpeer.SYN, 0, value)
	case m.has("answers pings with another value"):
		m.send(rawpeer.TypePing, rawpeer.ACK, 0, value+1)
	case m.has("answers the second ping only") && m.pings%2 == 1:
	case m.has("answers pings twice"):
		m.send(rawpeer.TypePing, rawpeer.ACK, 0, value)
		m.send(rawpeer.TypePing, rawpeer.ACK, 0, value)
	default:
		m.send(rawpeer.TypePing, rawpeer.ACK, 0, value)
	}
}

// frame takes a frame of a substream; false ends the connection.
func (m *doubleMux) frame(kind byte, flags uint16, id uint32, body []byte) bool {
	s := m.streams[id]
	if flags&rawpeer.SYN != 0 {
		if id%2 == 0 && !m.has("takes even ids") {
			m.send(rawpeer.TypeGoAway, 0, 0, 1)
			return false
		}
		if kind == rawpeer.TypeWindow && m.has("does not know SYN on window updates") {
			return true
		}
		s = &doubleStream{id: id}
		limit := 10 * time.Second
		switch {
		case m.has("hurries negotiation"):
			limit = time.Second
		case m.has("waits for negotiation"):
			limit = time.Hour
		}
		s.limit = time.AfterFunc(limit, func() { m.send(rawpeer.TypeData, rawpeer.RST, id, 0) })
		m.streams[id] = s
	}
	if s == nil {
		return !m.has("ends at unknown substreams")
	}
	if flags&rawpeer.RST != 0 {
		m.drop(s)
		return !m.has("ends at a reset")
	}
	if len(body) > 0 && !m.has("never gives credit") {
		m.send(rawpeer.TypeWindow, 0, id, uint32(len(body)))
	}
	if m.has("wants negotiation in one piece") && !s.agreed && len(body) > 0 && (len(body) < 2 || len(body) < 2+int(body[0])) {
		m.reset(s)
		return true
	}
	s.in = append(s.in, body...)
	if !m.advance(s) {
		return false
	}
	if flags&rawpeer.FIN != 0 && m.streams[id] != nil {
		m.finish(s, kind)
	}
	return true
}

// finish answers our FIN.
func (m *doubleMux) finish(s *doubleStream, kind byte) {
	switch {
	case m.has("does not answer FIN"), kind == rawpeer.TypeWindow && m.has("does not know FIN on window updates"):
		return
	case m.has("sends FIN on a window update"):
		m.send(rawpeer.TypeWindow, rawpeer.FIN, s.id, 0)
	case m.has("says goodbye on substreams"):
		m.send(rawpeer.TypeData, rawpeer.FIN, s.id, 3, []byte("bye")...)
	case m.has("answers FIN with a reset"):
		m.send(rawpeer.TypeData, rawpeer.RST, s.id, 0)
	default:
		m.send(rawpeer.TypeData, rawpeer.FIN, s.id, 0)
	}
	m.drop(s)
	if m.has("ends after a substream") {
		m.conn.Close()
	}
}

func (m *doubleMux) drop(s *doubleStream) {
	s.limit.Stop()
	if m.current == s.id && !m.has("takes one messaging substream only") {
		m.current = 0
	}
	delete(m.streams, s.id)
}

func (m *doubleMux) reset(s *doubleStream) {
	m.send(rawpeer.TypeData, rawpeer.RST, s.id, 0)
	m.drop(s)
}

// advance works on what has come on a substream; false ends the connection.
func (m *doubleMux) advance(s *doubleStream) bool {
	for !s.agreed {
		if len(s.in) < 2 || len(s.in) < 2+int(s.in[0]) {
			return true
		}
		n, flags := int(s.in[0]), s.in[1]
		id := string(s.in[2 : 2+n])
		s.in = s.in[2+n:]
		if !m.negotiate(s, flags, id) {
			return false
		}
		if m.streams[s.id] == nil {
			return true
		}
	}
	if s.lists {
		m.directory(s)
		return true
	}
	return m.messages(s)
}

func (m *doubleMux) negotiate(s *doubleStream, flags byte, id string) bool {
	answer := func(flags byte, id string) {
		b := propose(flags, id)
		m.send(rawpeer.TypeData, 0, s.id, uint32(len(b)), b...)
	}
	supported := id == messagingID || id == "t/other/1" || id == dhtID
	s.lists = id == dhtID
	switch {
	case flags&^7 != 0 && m.has("ignores flag 08") && flags&0x08 != 0, flags&^7 != 0 && m.has("ignores flag 80") && flags == 0x80:
	case flags&^7 != 0:
		return false
	case flags&flagOptimistic != 0:
		if m.has("wants flags 03") && flags != optimistic {
			m.reset(s)
			return true
		}
		if m.has("answers optimistic ids") {
			answer(0, id)
		}
		if supported || m.has("takes unknown optimistic ids") {
			m.agree(s)
			return true
		}
		m.reset(s)
		return true
	case flags&flagTerminate != 0:
		if m.has("answers 00 02") {
			answer(flagTerminate, "")
		}
		m.reset(s)
		return true
	case flags&flagNotSupported != 0 && m.has("refuses flag 04"):
	case supported:
		switch {
		case m.has("accepts without the id"):
			answer(0, "")
		case m.has("accepts one id only") && s.rounds > 0:
			m.reset(s)
			return true
		case m.has("resets what it accepts"):
			answer(0, id)
			m.reset(s)
			return true
		case m.has("refuses messages") && id == messagingID:
			answer(flagNotSupported, "")
			return true
		default:
			answer(0, id)
		}
		m.agree(s)
		return true
	}
	s.rounds++
	switch {
	case n0(id) && m.has("resets empty ids"), len(id) > 200 && m.has("resets long ids"):
		m.reset(s)
	case s.rounds == 5 && !m.has("never ends refusing"):
		answer(flagNotSupported|flagTerminate, "")
		m.reset(s)
	default:
		answer(flagNotSupported, "")
	}
	return true
}

func n0(id string) bool { return id == "" }

// agree begins messaging on a substream.
func (m *doubleMux) agree(s *doubleStream) {
	s.limit.Stop()
	s.agreed = true
	if s.lists {
		return
	}
	old := m.streams[m.current]
	switch {
	case m.current != 0 && m.has("takes one messaging substream only"):
		m.reset(s)
		return
	case old != nil && m.has("resets both of two"):
		m.reset(old)
		m.reset(s)
		return
	case old != nil && !m.has("keeps two"):
		m.reset(old)
	}
	m.current = s.id
}

// messages reads messages of a substream; false ends the connection.
func (m *doubleMux) messages(s *doubleStream) bool {
	if m.has("drops what comes with the id") {
		s.in = nil
	}
	for {
		n := min(s.skip, len(s.in))
		s.in, s.skip = s.in[n:], s.skip-n
		if s.skip > 0 || len(s.in) < 4 {
			if m.has("wants messages in one piece") && len(s.in) > 0 {
				m.reset(s)
			}
			return true
		}
		length := int(binary.BigEndian.Uint32(s.in))
		if length <= maxLetter && len(s.in) < 4+length {
			return true
		}
		s.in = s.in[4:]
		limit := maxMessage
		switch {
		case m.has("takes messages of any length"):
			limit = 1 << 30
		case m.has("takes messages below 8 MiB only"):
			limit = maxMessage - 1
		case m.has("takes short messages only"):
			limit = 1023
		}
		if length > limit {
			m.reset(s)
			return m.has("only resets long messages") || limit != maxMessage
		}
		if length == 0 && m.has("refuses empty messages") {
			m.reset(s)
			return true
		}
		if m.has("acknowledges messages") {
			m.send(rawpeer.TypeData, 0, s.id, 2, []byte("ok")...)
		}
		if length <= maxLetter && !m.letter(s.in[:length]) && !m.overlooks() {
			return false
		}
		s.skip = length
	}
}
