package hostile

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"slices"
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
	"github.com/gamelan-p2p/gamelan/transport"
)

const (
	wireByte  = 0x10 // of LocalNet
	messaging = "t/msg/0.1"
)

// ownAddress is what peers claim.
var ownAddress = ma.StringCast("/memory/60000").Bytes()

// peer is the other side of a connection of a node, by hand: it sends what the
// test says, in whatever order, and remembers what it is sent. It answers
// pings unless it is mute, and nothing else.
type peer struct {
	*rawpeer.Peer // after the exchange of identities

	t      testing.TB
	secret *identity.Secret
	raw    transport.Conn
	conn   *noise.Conn // after the handshake
	says   identify.Message
}

// secretOf returns the key of the peer with that number. Nodes of the network
// have others.
func secretOf(number int) *identity.Secret { return gamelantest.Secret(1_000_000 + number) }

// claimed is a claim of secret with these features and addresses, dated at.
func claimed(t testing.TB, secret *identity.Secret, f identity.Features, at time.Time, addresses ...[]byte) *rawpeer.Claim {
	t.Helper()
	signed, err := identity.SignClaim(secret, f, addresses, at, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := rawpeer.NewClaim(signed)
	c.Agent = "hostile"
	return c
}

// correct is a claim without a fault, of secret, over the addresses.
func correct(t testing.TB, secret *identity.Secret, addresses ...[]byte) *rawpeer.Claim {
	t.Helper()
	return claimed(t, secret, identity.FeatureNode, time.Now(), addresses...)
}

// listing adds protocols to a claim. A peer that lists the marker of this library's nodes has
// their user agent.
func listing(c *rawpeer.Claim, protocols ...protocol.ID) *rawpeer.Claim {
	for _, id := range protocols {
		c.Protocols = append(c.Protocols, string(id))
	}
	if slices.Contains(protocols, protocol.TakenMarker) {
		c.Agent = "gamelan/hostile"
	}
	return c
}

// rawDial connects to an address and does nothing more.
func rawDial(t testing.TB, tr transport.Transport, to ma.Multiaddr) transport.Conn {
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
	c := rawDial(t, tr, to)
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
	p.exchangeAs(listing(correct(p.t, p.secret, ownAddress), protocols...))
}

// exchangeAs is exchange with any claim.
func (p *peer) exchangeAs(c *rawpeer.Claim) {
	p.t.Helper()
	if _, err := p.conn.Write(c.Frame()); err != nil {
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
	p.Peer = rawpeer.New(p.conn, rawpeer.Options{Record: true})
	var reading sync.WaitGroup
	reading.Go(p.Run)
	p.t.Cleanup(func() {
		p.raw.Close()
		p.Pause()() // it may stand still
		reading.Wait()
	})
}

// open opens a stream with the first bytes on it.
func (p *peer) open(id uint32, body string) { p.must(p.Data(rawpeer.SYN, id, body)) }

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("hostile peer: write: %v", err)
	}
}

// flushed sends a ping and waits for the pong: the node has then read all that
// was sent before.
func (p *peer) flushed() {
	p.t.Helper()
	value, err := p.Ping()
	p.must(err)
	gamelantest.Eventually(p.t, time.Minute, "a pong", func() bool { return !p.Awaits(value) })
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
