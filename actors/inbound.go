package actors

import (
	"fmt"
	"net/netip"
	"sync"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// inboundGate counts what comes in through all listeners together. It is an
// exception among the views, as credit is: whoever closes a connection gives its
// place back, in whatever goroutine that is.
type inboundGate struct {
	mu     sync.Mutex
	gate   *connpool.Gate
	exempt []netip.Prefix
}

func (g *inboundGate) open(l connpool.GateLimits, exempt []netip.Prefix) {
	g.gate, g.exempt = connpool.NewGate(l), exempt
}

// enter lets a connection in, before a byte of it is read, or says which limit
// it exceeds. What is returned stands for the connection and gives its place
// back when it is closed.
func (g *inboundGate) enter(c transport.Conn) (*gatedConn, error) {
	from := g.from(c.RemoteMultiaddr())
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.gate.Enter(from); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOverloaded, err)
	}
	return &gatedConn{Conn: c, gate: g, from: from}, nil
}

// from is what the limits count by: nothing, for loopback (whatever comes
// through a Tor service of ours is among it), for what has no IP address, and
// for the configured networks (spec: V 8).
func (g *inboundGate) from(a ma.Multiaddr) connpool.From {
	source, ok := transport.Source(a)
	if !ok {
		return connpool.From{}
	}
	for _, p := range g.exempt {
		if p.Overlaps(source) {
			return connpool.From{}
		}
	}
	bits := 48
	if source.Addr().Is4() {
		bits = 24
	}
	subnet, _ := source.Addr().Prefix(bits)
	return connpool.From{Source: source, Subnet: subnet}
}

// gatedConn is an inbound connection that holds a place in the gate.
type gatedConn struct {
	transport.Conn
	gate        *inboundGate
	from        connpool.From
	established bool // guarded by gate.mu, as is left
	left        bool
	arrived     func() // ends its set-up in Env.setups
}

// arrives notes that the peer has proved its key. The end of the connection ends
// the set-up.
func (c *gatedConn) arrives(end func()) {
	c.gate.mu.Lock()
	c.arrived = end
	left := c.left
	c.gate.mu.Unlock()
	if left {
		end()
	}
}

// establish makes its set-up a connection, or says that there are too many.
func (c *gatedConn) establish() error {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if c.left {
		return nil // closed meanwhile
	}
	if err := c.gate.gate.Establish(c.from); err != nil {
		return fmt.Errorf("%w: %w", ErrOverloaded, err)
	}
	c.established = true
	return nil
}

// Close closes the connection and gives its place back, once.
func (c *gatedConn) Close() error {
	c.gate.mu.Lock()
	if !c.left {
		c.left = true
		c.gate.gate.Leave(c.from, c.established)
	}
	arrived := c.arrived
	c.gate.mu.Unlock()
	if arrived != nil {
		arrived()
	}
	return c.Conn.Close()
}
