package connections

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// inboundGate counts the inbound connections of all listeners together, and applies
// their limits. Unlike a view it has many writers, so it has a lock: the goroutine that
// closes a connection gives the connection's place back.
type inboundGate struct {
	now    func() time.Time
	exempt []netip.Prefix

	mu     sync.Mutex
	gate   *connpool.Gate
	setups map[uint64]*gatedConn

	trouble InboundTrouble

	noSecret, notAdmitted connpool.Knocks

	offenders connpool.Offenders
	churn     connpool.Churn

	negotiations connpool.Negotiations[*mux.Stream]
}

func (g *inboundGate) open(l connpool.GateLimits, exempt []netip.Prefix, now func() time.Time) {
	g.gate, g.exempt, g.now, g.setups = connpool.NewGate(l), exempt, now, make(map[uint64]*gatedConn)
	g.offenders.Limit = l.OffencesPerSource
}

// enter accepts a connection before a byte of it is read, or returns the limit that
// refuses it. The gatedConn stands for the connection, and gives its place back when it
// is closed. To make room for the new set-up, enter may close another one.
func (g *inboundGate) enter(c transport.Conn) (*gatedConn, error) {
	from := g.from(c.RemoteMultiaddr())
	g.mu.Lock()
	now := g.now()
	if until := g.offenders.Until(now, from.Source); !until.IsZero() {
		g.mu.Unlock()
		return nil, &SourceRefusedError{from.Source, until.Sub(now)}
	}
	id, gone, err := g.gate.Enter(now, from)
	if err != nil {
		g.limited(now, err)
		g.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", actors.ErrOverloaded, err)
	}
	loser := g.setups[gone]
	if loser != nil {
		loser.gaveWay = true
		delete(g.setups, gone)
	}
	entered := &gatedConn{Conn: c, gate: g, id: id, origin: peerstore.OriginOf(from.Source)}
	g.setups[id] = entered
	g.mu.Unlock()
	if loser != nil {
		loser.Close()
	}
	return entered, nil
}

// from returns the networks by which the limits count a connection from a. It returns
// no source and no subnet, so that no limit per network applies, for loopback (which has
// the connections through a Tor service of this node), for addresses without an IP, and
// for the configured networks (spec: V 8).
func (g *inboundGate) from(a ma.Multiaddr) connpool.From {
	source, ok := transport.Source(a)
	if !ok {
		if _, ok := transport.IP(a); ok {
			return connpool.From{Origin: loopback}
		}
		return connpool.From{}
	}
	for _, p := range g.exempt {
		if p.Overlaps(source) {
			return connpool.From{Origin: source}
		}
	}
	bits := 48
	if source.Addr().Is4() {
		bits = 24
	}
	subnet, _ := source.Addr().Prefix(bits)
	return connpool.From{Source: source, Subnet: subnet, Origin: source}
}

// SourceOf returns where a connection from a comes from, as the limits count it.
func (r *Room) SourceOf(a ma.Multiaddr) share.Source {
	if from := r.inbound.from(a); from.Source.IsValid() {
		return share.Of(from.Source.Addr())
	}
	return share.Exempt
}

// loopback stands for every loopback address as the origin of connections.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// Inbounds returns the numbers and limits of inbound set-ups and connections, and
// counts of the refused ones.
func (r *Room) Inbounds() connpool.GateStats {
	r.inbound.mu.Lock()
	defer r.inbound.mu.Unlock()
	return r.inbound.gate.Stats()
}

// otherNetwork counts a connection whose first byte is not that of this node's network.
func (g *inboundGate) otherNetwork() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate.OtherNetwork()
}

// InboundTrouble is why this node has refused connections last, or could not accept them.
type InboundTrouble struct {
	Limited   uint64              // connections that were refused because of a limit
	Limit     protocol.LimitError // the limit of the last of them
	LimitedAt time.Time           // when that was; zero: never

	Failed   uint64    // accepts that failed
	Err      error     // of the last of them; nil: none has failed
	FailedAt time.Time // when that was
}

// limited notes a refusal. The caller holds mu.
func (g *inboundGate) limited(now time.Time, err error) {
	if limit, ok := errors.AsType[*protocol.LimitError](err); ok {
		g.trouble.Limited++
		g.trouble.Limit, g.trouble.LimitedAt = *limit, now
	}
}

// deaf notes an accept that has failed.
func (g *inboundGate) deaf(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trouble.Failed++
	g.trouble.Err, g.trouble.FailedAt = err, g.now()
}

// InboundTrouble returns why connections were refused, or not accepted.
func (r *Room) InboundTrouble() InboundTrouble {
	r.inbound.mu.Lock()
	defer r.inbound.mu.Unlock()
	return r.inbound.trouble
}

// gatedConn is an inbound connection with a place in the gate. It tells the gate how
// far its set-up has come.
type gatedConn struct {
	transport.Conn
	gate   *inboundGate
	origin peerstore.Origin // where it comes from, in the form of the peer store
	id     uint64
	stage  atomic.Uint32 // a [connpool.Stage]; written with gate.mu held

	// The fields below are guarded by gate.mu.
	from        connpool.From // valid once it is established
	established bool
	left        bool
	gaveWay     bool
	arrived     func() // ends its set-up in Room.setups
}

// Read reads, and tells the gate of the first byte.
func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.stage.Load() == uint32(connpool.StageEntered) {
		c.advance(connpool.StageHeard)
	}
	return n, err
}

// Write writes, and tells the gate of the first write, which is the second handshake
// message. If the set-up has given way before that, Write sends nothing, so that the
// peer takes this node for busy (spec: V 9).
func (c *gatedConn) Write(b []byte) (int, error) {
	if c.stage.Load() < uint32(connpool.StageMessage2) && !c.advance(connpool.StageMessage2) {
		return 0, transport.ErrClosed
	}
	return c.Conn.Write(b)
}

// direct returns the part of a connection that knows what is in flight, if there is no proxy on
// its way; otherwise nil.
func direct(c transport.Conn) transport.FlightReporter {
	if gated, ok := c.(*gatedConn); ok {
		c = gated.Conn
	}
	r, _ := c.(transport.FlightReporter)
	return r
}

// advance tells the gate how far the set-up has come. It returns false if the
// connection is closed.
func (c *gatedConn) advance(to connpool.Stage) bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if c.left {
		return false
	}
	c.gate.gate.Advance(c.gate.now(), c.id, to)
	c.stage.Store(max(c.stage.Load(), uint32(to)))
	return true
}

// newcomer returns how long the set-up of an unknown peer has to wait.
func (c *gatedConn) newcomer() time.Duration {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.gate.Newcomer(c.gate.now(), c.id)
}

// overtaken returns an error with the limit if the set-up was closed in favour of a
// newer one, and otherwise nil.
func (c *gatedConn) overtaken() error {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.replaced()
}

// replaced is overtaken with the gate's lock held.
func (c *gatedConn) replaced() error {
	if !c.gaveWay {
		return nil
	}
	return fmt.Errorf("%w: replaced by a newer set-up: %w", actors.ErrOverloaded,
		&protocol.LimitError{Name: "MaxSetups", Limit: c.gate.gate.Stats().MaxSetups})
}

// arrives notes that the peer has proved its key. When the connection closes, it calls
// end, which ends the set-up in Room.setups.
func (c *gatedConn) arrives(end func()) {
	c.advance(connpool.StageProved)
	c.gate.mu.Lock()
	c.arrived = end
	left := c.left
	c.gate.mu.Unlock()
	if left {
		end()
	}
}

// establish makes the set-up a connection, or returns the limit that is reached. With
// instead the caller closes another connection in favour of this one.
func (c *gatedConn) establish(instead bool) error {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if c.left {
		return c.replaced() // closed meanwhile
	}
	from, err := c.gate.gate.Establish(c.id, instead)
	if err != nil {
		if limit, ok := errors.AsType[*protocol.LimitError](err); !ok || instead || limit.Name != "MaxInbound" { // for MaxInbound the caller may make room
			c.gate.limited(c.gate.now(), err)
		}
		return fmt.Errorf("%w: %w", actors.ErrOverloaded, err)
	}
	c.from, c.established = from, true
	delete(c.gate.setups, c.id)
	return nil
}

// Close closes the connection and gives its place back, once.
func (c *gatedConn) Close() error {
	c.gate.mu.Lock()
	if !c.left {
		c.left = true
		if c.established {
			c.gate.gate.End(c.from)
		} else {
			c.gate.gate.Leave(c.id)
			delete(c.gate.setups, c.id)
		}
	}
	arrived := c.arrived
	c.gate.mu.Unlock()
	if arrived != nil {
		arrived()
	}
	return c.Conn.Close()
}
