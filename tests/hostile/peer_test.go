package hostile

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/identify"
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

	wireByte  = 0x10 // of LocalNet
	messaging = "t/msg/0.1"
)

// muxFrame is one frame of the multiplexer as it was received.
type muxFrame struct {
	at     time.Time
	kind   byte
	flags  uint16
	id     uint32
	length uint32
	body   []byte
}

func (f muxFrame) String() string {
	return fmt.Sprintf("kind %d flags %d stream %d length %d %.40q", f.kind, f.flags, f.id, f.length, f.body)
}

// peer is the other side of a connection of a node, by hand: it sends what the
// test says, in whatever order, and remembers what it is sent. It answers
// pings unless it is mute, and nothing else.
type peer struct {
	t      testing.TB
	secret *identity.Secret
	raw    transport.Conn
	conn   *noise.Conn // after the handshake
	says   identify.Message

	write sync.Mutex

	mu     sync.Mutex
	mute   bool // leaves pings unanswered
	frames []muxFrame
	err    error         // the end of the connection
	resume chan struct{} // not nil: the peer reads nothing until it is closed
}

// secretOf returns the key of the peer with that number. Nodes of the network
// have others.
func secretOf(number int) *identity.Secret { return gamelantest.Secret(1_000_000 + number) }

// message is a correct identity message of the secret. A peer that lists the marker of
// this library's nodes has their user agent.
func message(t testing.TB, secret *identity.Secret, protocols ...protocol.ID) identify.Message {
	t.Helper()
	address := ma.StringCast("/memory/60000").Bytes()
	claim, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{address}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agent := "hostile"
	if slices.Contains(protocols, protocol.TakenMarker) {
		agent = "gamelan/hostile"
	}
	return identify.Message{Claim: claim, Protocols: protocols, UserAgent: agent}
}

// identityFrame is m as the exchange carries it.
func identityFrame(t testing.TB, m identify.Message) []byte {
	t.Helper()
	b, err := identify.Append(nil, 0, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dial connects to an address and does nothing more.
func dial(t testing.TB, tr transport.Transport, to ma.Multiaddr) transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := tr.Dial(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// shake does everything up to the Noise handshake as the dialer.
func shake(t testing.TB, c transport.Conn, secret *identity.Secret) *noise.Conn {
	t.Helper()
	secure, err := noise.Client(c, noise.Config{Static: secret, Prefix: []byte{wireByte}})
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return secure
}

// connect connects a peer to a node, and returns when the multiplexer runs.
func connect(t testing.TB, tr transport.Transport, to ma.Multiaddr, secret *identity.Secret, protocols ...protocol.ID) *peer {
	t.Helper()
	c := dial(t, tr, to)
	p := &peer{t: t, secret: secret, raw: c, conn: shake(t, c, secret)}
	p.exchange(protocols)
	return p
}

// arrival is the next connection to a peer, for which it waits for an hour: in
// virtual time a node would go on for ever.
func arrival(t testing.TB, l transport.Listener) transport.Conn {
	t.Helper()
	overdue := time.AfterFunc(time.Hour, func() { l.Close() })
	c, err := l.Accept()
	if overdue.Stop(); err != nil {
		t.Fatalf("the node has not dialled within an hour: %v", err)
	}
	return c
}

// accept is connect for a peer that was dialled.
func accept(t testing.TB, l transport.Listener, secret *identity.Secret, protocols ...protocol.ID) *peer {
	t.Helper()
	c := arrival(t, l)
	t.Cleanup(func() { c.Close() })
	p := &peer{t: t, secret: secret, raw: c}
	p.respond(protocols)
	return p
}

// respond does the set-up of the side that was dialled.
func (p *peer) respond(protocols []protocol.ID) {
	p.t.Helper()
	if _, err := io.ReadFull(p.raw, make([]byte, 1)); err != nil {
		p.t.Fatalf("wire byte: %v", err)
	}
	var err error
	if p.conn, err = noise.Server(p.raw, noise.Config{Static: p.secret}); err != nil {
		p.t.Fatalf("handshake: %v", err)
	}
	p.exchange(protocols)
}

// exchange exchanges identities and starts to read frames.
func (p *peer) exchange(protocols []protocol.ID) {
	p.t.Helper()
	p.exchangeAs(message(p.t, p.secret, protocols...))
}

// exchangeAs is exchange with a message of any content.
func (p *peer) exchangeAs(m identify.Message) {
	p.t.Helper()
	if _, err := p.conn.Write(identityFrame(p.t, m)); err != nil {
		p.t.Fatalf("identity: %v", err)
	}
	profile := protocol.Tari(protocol.LocalNet)
	body, err := identify.Read(p.conn, profile)
	if err != nil {
		p.t.Fatalf("identity: %v", err)
	}
	if p.says, err = identify.Decode(body, p.conn.RemoteKey(), profile, time.Now()); err != nil {
		p.t.Fatalf("identity: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.read()
	}()
	p.t.Cleanup(func() {
		p.raw.Close()
		p.pause()() // it may stand still
		<-done
	})
}

// read takes what the node sends.
func (p *peer) read() {
	for {
		p.mu.Lock()
		resume := p.resume
		p.mu.Unlock()
		if resume != nil {
			<-resume
		}
		f, err := p.readFrame()
		p.mu.Lock()
		if err != nil {
			p.err = err
			p.mu.Unlock()
			return
		}
		p.frames = append(p.frames, f)
		answer := f.kind == kindPing && f.flags&syn != 0 && !p.mute
		p.mu.Unlock()
		if answer {
			go p.send(kindPing, ack, 0, f.length, nil)
		}
	}
}

func (p *peer) readFrame() (muxFrame, error) {
	var h [12]byte
	if _, err := io.ReadFull(p.conn, h[:]); err != nil {
		return muxFrame{}, err
	}
	f := muxFrame{
		at: time.Now(), kind: h[1], flags: binary.BigEndian.Uint16(h[2:]),
		id: binary.BigEndian.Uint32(h[4:]), length: binary.BigEndian.Uint32(h[8:]),
	}
	if f.kind == kindData && f.length > 0 {
		f.body = make([]byte, f.length)
		if _, err := io.ReadFull(p.conn, f.body); err != nil {
			return f, err
		}
	}
	return f, nil
}

// pause stops the reading after the frame that is awaited now; resume starts it
// again.
func (p *peer) pause() (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resume == nil {
		p.resume = make(chan struct{})
	}
	c := p.resume
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.resume == c {
			p.resume = nil
			close(c)
		}
	})
}

// silence makes the peer leave pings unanswered.
func (p *peer) silence(mute bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute
}

// send writes a frame; the error is that of a connection that is over.
func (p *peer) send(kind byte, flags uint16, id, length uint32, body []byte) error {
	b := make([]byte, 12, 12+len(body))
	b[1] = kind
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], id)
	binary.BigEndian.PutUint32(b[8:], length)
	p.write.Lock()
	defer p.write.Unlock()
	_, err := p.conn.Write(append(b, body...))
	return err
}

// data sends bytes on a stream, the first with SYN.
func (p *peer) data(flags uint16, id uint32, body string) error {
	return p.send(kindData, flags, id, uint32(len(body)), []byte(body))
}

// open opens a stream with the first bytes on it.
func (p *peer) open(id uint32, body string) { p.must(p.data(syn, id, body)) }

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("hostile peer: write: %v", err)
	}
}

// received returns what has arrived so far.
func (p *peer) received() []muxFrame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]muxFrame(nil), p.frames...)
}

// ended returns the error that reading has ended with, nil if it goes on.
func (p *peer) ended() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// goodbyes counts the GoAways that have arrived.
func (p *peer) goodbyes() (n int) {
	for _, f := range p.received() {
		if f.kind == kindGoAway {
			n++
		}
	}
	return n
}

// streamState is what has arrived on one stream.
type streamState struct {
	opened   bool // by the node
	data     string
	fin, rst bool
	finBy    byte      // kind of the frame with FIN
	at       time.Time // of the first frame
	end      time.Time // of FIN or RST
}

// stream returns what has arrived on a stream.
func (p *peer) stream(id uint32) (s streamState) {
	for _, f := range p.received() {
		if f.kind > kindWindow || f.id != id {
			continue
		}
		if s.at.IsZero() {
			s.at = f.at
		}
		s.opened = s.opened || f.flags&syn != 0
		s.data += string(f.body)
		if f.flags&(fin|rst) != 0 && s.end.IsZero() {
			s.end = f.at
		}
		if f.flags&fin != 0 {
			s.fin, s.finBy = true, f.kind
		}
		s.rst = s.rst || f.flags&rst != 0
	}
	return s
}

// opened lists the streams that the node has opened, in order.
func (p *peer) opened() (ids []uint32) {
	for _, f := range p.received() {
		if f.kind <= kindWindow && f.flags&syn != 0 {
			ids = append(ids, f.id)
		}
	}
	return ids
}

// flushed sends a ping and waits for the pong: the node has then read all that
// was sent before.
func (p *peer) flushed() {
	p.t.Helper()
	id := uint32(len(p.received())) | 1<<31
	p.must(p.send(kindPing, syn, 0, id, nil))
	gamelantest.Eventually(p.t, time.Minute, "a pong", func() bool {
		for _, f := range p.received() {
			if f.kind == kindPing && f.flags&ack != 0 && f.length == id {
				return true
			}
		}
		return false
	})
}

// propose and optimistic are first bytes of a substream: spec: comms 6.1.
func propose(flags byte, id string) string { return string([]byte{byte(len(id)), flags}) + id }

func optimistic(id string) string { return propose(3, id) }

// framed is a body as messaging carries it.
func framed(body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// announced is the head of a body of n bytes.
func announced(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
