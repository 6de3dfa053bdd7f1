package tcp

import (
	"net"
	"runtime"
	"sync/atomic"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Conn is a TCP connection.
type Conn struct {
	net.Conn      // tcp without its WriteTo, which would bypass Read
	tcp           *net.TCPConn
	local, remote ma.Multiaddr
	ack           quickAck
	delays        atomic.Bool   // the kernel may put acknowledgements off
	emptied       bool          // the last Read has emptied the socket
	reads         atomic.Uint64 // Reads that have returned bytes
	answered      atomic.Uint64 // reads when the last Write began that has written something
}

var (
	_ transport.Conn           = (*Conn)(nil)
	_ transport.FlightReporter = (*Conn)(nil)
	_ transport.AckDelayer     = (*Conn)(nil)
)

func newConn(c *net.TCPConn) *Conn {
	conn := &Conn{Conn: c, tcp: c}
	conn.local, _ = transport.FromNetAddr(c.LocalAddr())
	conn.remote, _ = transport.FromNetAddr(c.RemoteAddr())
	conn.ack.init(c)
	retransmitSoon(c)
	// Package net sets TCP_NODELAY on every connection; this makes it explicit.
	_ = c.SetNoDelay(true)
	return conn
}

// LocalMultiaddr returns this end's address.
func (c *Conn) LocalMultiaddr() ma.Multiaddr { return c.local }

// RemoteMultiaddr returns the other end's address.
func (c *Conn) RemoteMultiaddr() ma.Multiaddr { return c.remote }

// Read reads from the socket. A read that did not fill b has emptied the socket; then the
// next Read asks for an immediate acknowledgement of what came, unless a Write has begun
// meanwhile, which has acknowledged it. Before that it lets other goroutines run once, so
// that one that was given the bytes can answer. After DelayAcks, Read asks for nothing.
//
// spec: comms 144; V 45
func (c *Conn) Read(b []byte) (int, error) {
	if c.emptied && c.ack.can() && !c.acknowledged() {
		runtime.Gosched()
		if !c.delays.Load() && !c.acknowledged() {
			c.ack.now()
		}
	}
	n, err := c.tcp.Read(b)
	c.emptied = n > 0 && n < len(b)
	if n > 0 {
		c.reads.Add(1)
	}
	return n, err
}

// acknowledged reports whether a Write has begun, and written something, since the last Read.
func (c *Conn) acknowledged() bool { return c.answered.Load() == c.reads.Load() }

// DelayAcks leaves acknowledgements to the kernel.
func (c *Conn) DelayAcks() { c.delays.Store(true) }

// Write writes to the socket.
func (c *Conn) Write(b []byte) (int, error) {
	reads := c.reads.Load()
	n, err := c.tcp.Write(b)
	if n > 0 {
		c.answered.Store(reads)
	}
	return n, err
}

// CloseWrite ends this side's half: the other end reads io.EOF after all bytes written.
func (c *Conn) CloseWrite() error { return c.tcp.CloseWrite() }
