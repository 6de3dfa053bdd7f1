package memory

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Conn is one end of a connection.
type Conn struct {
	wire          *wire
	in, out       *pipe
	local, remote Addr
	closed        atomic.Bool
}

var _ transport.Conn = (*Conn)(nil)

// Read reads what has arrived, at most len(b) bytes. After the other end's
// Close or CloseWrite it returns io.EOF, after a reset an error that
// [transport.IsReset] knows, in both cases when everything that had arrived
// has been read.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.opError("read", err)
}

// Write hands b to the link and waits while its buffer is full.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.opError("write", err)
}

// Close ends both directions. The other end still gets what was written, and
// then io.EOF — or, if something had arrived here that was not read, a reset,
// as from a socket.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.opError("close", net.ErrClosed)
	}
	unread := c.in.closeRead()
	c.out.closeWrite(true, unread)
	c.wire.left()
	return nil
}

// CloseWrite ends our half: the other end reads io.EOF after what was written.
func (c *Conn) CloseWrite() error {
	if c.closed.Load() {
		return c.opError("close", net.ErrClosed)
	}
	c.out.closeWrite(false, false)
	return nil
}

// Cut resets the connection in both directions, like [Network.Cut].
func (c *Conn) Cut() { c.wire.cut() }

// LocalAddr is this end, an [Addr].
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the other end, an [Addr].
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalMultiaddr is the port listened on, or /memory/0 at the end that dialled.
func (c *Conn) LocalMultiaddr() ma.Multiaddr { return multiaddr(uint16(c.local)) }

// RemoteMultiaddr is the port dialled, or /memory/0 at the end that listens.
func (c *Conn) RemoteMultiaddr() ma.Multiaddr { return multiaddr(uint16(c.remote)) }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline ends reads that are still waiting at t, also those under
// way. The zero time is no deadline.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.opError("set", net.ErrClosed)
	}
	c.in.setDeadline(&c.in.readDeadline, t)
	return nil
}

// SetWriteDeadline ends writes that are still waiting at t, also those under
// way. The zero time is no deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.opError("set", net.ErrClosed)
	}
	c.out.setDeadline(&c.out.writeDeadline, t)
	return nil
}

// opError dresses an error as package net does.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}
